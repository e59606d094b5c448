"""Settings of the LLM worker."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from services.runtime.settings import ObjectStoreSettings, PodSettings

DRAIN_MARGIN_SECONDS = 30
"""After the longest call: time to record the last answer and to report it."""


class ResumeMode(StrEnum):
    """How an answer that was cut off is gone on with.

    `auto` goes by the table in `services.llm_worker.capabilities`. `off` always buys again. The other two declare what
    a server of one's own can do, which no table knows.
    """

    AUTO = "auto"
    OFF = "off"
    PREFIX = "prefix"
    BACKGROUND = "background"


class LLMSettings(PodSettings, ObjectStoreSettings):
    """What the LLM worker can be told.

    Attributes:
        llm_api_key: The provider's key. It never leaves this process but to the provider. Empty for a server without.
        llm_model: litellm's name of the model that is called where a report names none.
        llm_api_base: Base address of an OpenAI-compatible server; empty: the provider's own.
        llm_max_call_seconds: The longest allowed call. The drain on SIGTERM and the pod's grace period follow from it;
            the upper bound keeps a wait for one call and a call of one's own within the activity's hour.
        llm_first_token_seconds: The longest wait for the first token.
        llm_idle_seconds: The longest silence between tokens.
        llm_concurrency: Calls that one pod makes at a time.
        llm_rebuy_limit: How often a call is bought again from its beginning after its answer was lost.
        llm_resume: How an answer that was cut off is gone on with.
        llm_max_cost_usd: The most a report may cost that sets no limit itself, in US dollars.
        llm_max_tokens: The most tokens a report may be billed that sets no limit itself.
    """

    llm_api_key: SecretStr = SecretStr("")
    llm_model: str = "openai/gpt-4o"
    llm_api_base: Annotated[str, Field(pattern=r"^(https?://.+)?$")] = ""
    llm_max_call_seconds: float = Field(default=600, gt=0, le=1700)
    llm_first_token_seconds: float = Field(default=120, gt=0)
    llm_idle_seconds: float = Field(default=60, gt=0)
    llm_concurrency: int = Field(default=100, ge=1, le=1000)
    llm_rebuy_limit: int = Field(default=2, ge=0, le=100)
    llm_resume: ResumeMode = ResumeMode.AUTO
    llm_max_cost_usd: float | None = Field(default=None, gt=0)
    llm_max_tokens: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _timeouts_nest(self) -> "LLMSettings":
        if not self.llm_first_token_seconds <= self.llm_max_call_seconds >= self.llm_idle_seconds:
            raise ValueError(
                "LLM_FIRST_TOKEN_SECONDS and LLM_IDLE_SECONDS must not be longer than LLM_MAX_CALL_SECONDS"
            )
        return self

    @property
    def drain_seconds(self) -> float:
        """How long the calls in flight may go on after SIGTERM; the pod's grace period is this and 30 s more."""
        return self.llm_max_call_seconds + DRAIN_MARGIN_SECONDS
