"""The two activities: call the model, make the PDF."""

import os
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from litellm import completion
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate
from temporalio import activity


@dataclass
class LLMCallInput:
    """What the model is asked."""

    prompt: str


@dataclass
class PDFInput:
    """What the PDF is made from."""

    content: str
    filename: str


@activity.defn
def llm_call(call: LLMCallInput) -> str:
    """Return the model's answer."""
    answer = completion(
        model=os.environ["LLM_MODEL"],
        api_key=os.environ["LLM_API_KEY"],
        api_base=os.environ["LLM_API_BASE"],
        messages=[{"role": "user", "content": call.prompt}],
    )
    return str(answer.choices[0].message.content)


@activity.defn
def create_pdf(request: PDFInput) -> str:
    """Set each block of the text as a paragraph and return the PDF's path."""
    style = getSampleStyleSheet()["BodyText"]
    blocks = [Paragraph(escape(block), style) for block in request.content.split("\n\n") if block.strip()]
    path = Path(request.filename)
    SimpleDocTemplate(str(path), pagesize=A4).build(blocks)
    return str(path)
