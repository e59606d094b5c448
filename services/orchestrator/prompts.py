"""What the model is asked. Changing a word here changes the request's hash, so running reports keep what they sent."""

from services.contracts.llm import Message

_SYSTEM = """\
You are a careful researcher. Write a report on the user's topic in Markdown (CommonMark with GitHub's tables).
Begin with one first-level heading that is the report's title. Then write sections under second-level headings, in
plain, exact language. Say what is uncertain. Where you rely on a source, cite it as [1] and list the numbered sources
at the end under the heading "Sources". Do not wrap the report in a code fence. Write in the language with the tag
"{language}" unless the user asks for another."""


def research(prompt: str, language: str) -> list[Message]:
    """Return the messages of the research step."""
    return [Message("system", _SYSTEM.format(language=language)), Message("user", prompt)]
