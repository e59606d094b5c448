"""What a request asks: its topic, its length, its directives."""

import hashlib
import re
from dataclasses import dataclass, field

from services.simulator.answers import split_tokens
from services.simulator.errors import ProviderError

DIRECTIVE = re.compile(r"\[\[simulator:(.*?)\]\]", re.DOTALL)
MARKUP = frozenset("`*_#<>[]|\\~$")

TITLE_CHARACTERS = 80
"""A title that is longer wraps more than once on a cover."""


@dataclass(frozen=True)
class Prompt:
    """What a request asks.

    Attributes:
        text: All that the user said, without system messages.
        input_tokens: Tokens of all messages, the prefix included.
        directives: Options that the prompt sets for itself.
        prefix: Text that the answer has to continue; `None`: a fresh answer.
    """

    text: str
    input_tokens: int
    directives: dict[str, str] = field(default_factory=dict)
    prefix: str | None = None

    @property
    def sha256(self) -> str:
        """Hex digest of the user's text as it was sent."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def subject(self) -> str:
        """The user's text without directives; it decides the answer."""
        return DIRECTIVE.sub("", self.text).strip()

    @property
    def topic(self) -> str:
        """A title: the last line that says something, shortened."""
        lines = [line.strip() for line in self.subject.splitlines() if line.strip()]
        line = "".join(c for c in (lines[-1] if lines else "") if c.isprintable() and c not in MARKUP)
        line = re.sub(r"^(research )?(topic|question|prompt)\s*:\s*", "", line.strip(" -.,;:"), flags=re.IGNORECASE)
        if len(line) > TITLE_CHARACTERS:
            line = re.split(r"(?<=[.!?;:])\s", line)[0].rstrip(".;:!")
        if len(line) > TITLE_CHARACTERS:
            line = line[:TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,.;:-") + "…"
        return line[:1].upper() + line[1:] if line else "An untitled question"


def read_prompt(messages: object, *, param: str = "messages") -> Prompt:
    """Read a conversation.

    Args:
        messages: Messages of a chat, or the `input` of the Responses API.
        param: The field's name, for the error.

    Raises:
        ProviderError: 400, it is no conversation.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        raise ProviderError(400, f"Invalid '{param}': a list of messages is needed.", param=param)
    texts = [(str(message.get("role", "user")), _text(message.get("content"))) for message in messages]
    text = "\n\n".join(content for role, content in texts if role == "user").strip()
    prefix = texts[-1][1] if texts[-1][0] == "assistant" and messages[-1].get("prefix") is True else None
    directives = {}
    for found in DIRECTIVE.findall(text):
        for setting in filter(None, re.split(r"[;\s]+", found)):
            name, _, value = setting.partition("=")
            directives[name] = value
    return Prompt(text, sum(len(split_tokens(content)) for _, content in texts), directives, prefix)


def _text(content: object) -> str:
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    # A lone surrogate is legal in JSON and cannot be encoded.
    return str(content or "").encode("utf-8", "replace").decode()
