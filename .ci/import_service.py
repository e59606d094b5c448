"""Import every module of the service with an extra's name, in an environment with nothing but that extra.

python .ci/import_service.py llm
"""

import importlib
import pkgutil
import sys
import time

SERVICES = {"llm": "llm_worker", "pdf": "pdf_worker"}
"""Where the service is not called as its extra."""

HEAVY = {"litellm": {"llm"}, "reportlab": {"pdf"}, "fastapi": {"gateway"}, "boto3": {"llm", "pdf", "gateway"}}
"""What must be in memory only in these extras' services: each costs every pod of the others size and start time."""


def main(extra: str) -> None:
    """Import the service and say what it weighs.

    Raises:
        SystemExit: A module that it has no use for is in memory.
        ImportError: One that it needs is not in its extra.
    """
    begun = time.perf_counter()
    package = importlib.import_module(f"services.{SERVICES.get(extra, extra)}")
    modules = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for module in modules:
        importlib.import_module(module)
    unwanted = [name for name, extras in HEAVY.items() if extra not in extras and name in sys.modules]
    if unwanted:
        raise SystemExit(f"{package.__name__} imports {', '.join(unwanted)}, which its extra {extra!r} does not have")
    sys.stdout.write(f"{package.__name__:24} {len(modules):3} modules, {time.perf_counter() - begun:.1f} s\n")


if __name__ == "__main__":
    main(sys.argv[1])
