"""Typed stubs of the activities, so that the workflow imports no implementation.

A worker registers the real function under the same name; `tests/unit/test_contracts.py` compares the signatures.
"""

from dataclasses import dataclass

from temporalio import activity

from services.contracts.llm import LLMCallInput, LLMCallOutput
from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput


@activity.defn(name="llm_call")
async def llm_call(call: LLMCallInput) -> LLMCallOutput:
    """Call the model, or adopt the answer that the ledger already holds."""
    raise NotImplementedError


@activity.defn(name="create_pdf")
async def create_pdf(request: PDFGenerationInput) -> PDFGenerationOutput:
    """Make the PDF and store it with its Markdown and summary."""
    raise NotImplementedError


@dataclass(frozen=True)
class LLMHeartbeat:
    """What `llm_call` heartbeats.

    Attributes:
        state: `streaming`, or `waiting` for another attempt that still streams.
        tokens: Parts of the answer received so far; about its tokens.
    """

    state: str
    tokens: int


@dataclass(frozen=True)
class PDFHeartbeat:
    """What `create_pdf` heartbeats.

    Attributes:
        pages: Pages laid out so far.
    """

    pages: int
