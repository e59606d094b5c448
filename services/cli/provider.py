"""Which model a local stack talks to: the one set in the environment or `.env`, or the simulator."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

SIMULATOR_PACE = ("--ttft", "0.3", "--tokens-per-second", "400")
"""Fast for a model, slow enough to see it stream."""


@dataclass(frozen=True)
class Provider:
    """Where the LLM worker's answers come from.

    Attributes:
        simulated: There is no key, so the simulator answers.
        env: `LLM_…` variables for the LLM worker.
        hint: What a person may have overlooked; empty for nothing.
    """

    simulated: bool
    env: dict[str, str] = field(repr=False)
    hint: str = ""

    @property
    def label(self) -> str:
        """Return what to call it."""
        if self.simulated:
            return "simulated model (no LLM_API_KEY)"
        return self.env.get("LLM_MODEL", "the default model")


def from_environment(folder: Path | None = None) -> Provider:
    """Read the `LLM_…` variables from the environment and from `.env` in a folder; the environment wins.

    Args:
        folder: `None`: the working directory.
    """
    in_file = dotenv_values((folder or Path()) / ".env")
    settings = {**in_file, **os.environ}
    env = {name: value for name, value in settings.items() if name.startswith("LLM_") and value}
    if env.get("LLM_API_KEY"):
        return Provider(simulated=False, env=env)
    hint = ""
    if "LLM_API_BASE" in env:
        hint = "LLM_API_BASE is set without LLM_API_KEY, so the simulator is used; give a server without keys any key."
    kept = {name: value for name, value in env.items() if name not in ("LLM_MODEL", "LLM_API_BASE")}
    return Provider(simulated=True, env=kept, hint=hint)
