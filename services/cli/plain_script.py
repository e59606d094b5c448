"""The job as a plain script does it: call the model, then make the PDF. `make demo-crash` kills it between the two.

python -m services.cli.plain_script PROMPT FILE.pdf
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

ANSWERED = "the model has answered"
"""Said on stdout between the two steps."""

PAUSE_SECONDS = 3.0
"""The same time to be killed in as the durable service gets."""


def main(prompt: str, target: Path) -> None:
    """Make one report."""
    answer = httpx.post(
        f"{os.environ['LLM_API_BASE']}/chat/completions",
        headers={"Authorization": f"Bearer {os.environ['LLM_API_KEY']}"},
        json={"model": "simulated-model", "messages": [{"role": "user", "content": prompt}]},
        timeout=60,
    )
    answer.raise_for_status()
    markdown = answer.json()["choices"][0]["message"]["content"]
    print(ANSWERED, flush=True)
    time.sleep(PAUSE_SECONDS)
    source = target.with_suffix(".md")
    source.write_text(markdown, encoding="utf-8")
    subprocess.run(  # noqa: S603  our own module; a plain script would call a PDF library here
        [sys.executable, "-m", "services.pdf_worker.render_file", str(source), "-o", str(target)], check=True
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
