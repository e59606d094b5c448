"""Which provider can go on with an answer that was cut off, with the source of each line.

| provider                           | how        | source                                                            |
|------------------------------------|------------|-------------------------------------------------------------------|
| OpenAI's own API                   | background | OpenAI's guide "Background mode": `background` and `store` keep a |
|                                    |            | response running; `starting_after` resumes its stream             |
| models that litellm's table marks  | prefix     | litellm, `model_prices_and_context_window.json`, key              |
| `supports_assistant_prefill`       |            | `supports_assistant_prefill` (DeepSeek, Mistral, Claude to 4.5)   |
| everything else                    | plain      | nothing is known: bought again, within LLM_REBUY_LIMIT            |
"""

from enum import StrEnum
from urllib.parse import urlsplit

import litellm

from services.llm_worker.settings import ResumeMode

_OPENAI_HOST = "api.openai.com"


class Kind(StrEnum):
    """What a provider can do for an answer that was cut off."""

    PLAIN = "plain"
    PREFIX = "prefix"
    BACKGROUND = "background"


def kind_of(model: str, provider: str, api_base: str | None, mode: ResumeMode) -> Kind:
    """Return how an answer of this model is resumed.

    Args:
        model: The model's name at the provider.
        provider: litellm's name of the provider.
        api_base: The address in use; `None` for litellm's default.
        mode: What the operator has set.
    """
    if mode is ResumeMode.OFF:
        return Kind.PLAIN
    if mode is not ResumeMode.AUTO:
        return Kind(mode.value)
    if provider == "openai" and (api_base is None or urlsplit(api_base).hostname == _OPENAI_HOST):
        return Kind.BACKGROUND
    prices = litellm.model_cost.get(f"{provider}/{model}") or litellm.model_cost.get(model) or {}
    return Kind.PREFIX if prices.get("supports_assistant_prefill") else Kind.PLAIN
