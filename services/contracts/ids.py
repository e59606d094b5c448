"""Workflow ids and the object keys that follow from them: builders beside their inverses."""

import hashlib
import re
import secrets

_REPORT_ID = re.compile(r"report-[0-9a-f]{20}")

REPORTS_PREFIX = "reports/"
LEDGER_PREFIX = "ledger/"


def workflow_id(idempotency_key: str | None = None) -> str:
    """Return the workflow id of a report: 80 bits of the key's SHA-256, or random without a key."""
    digits = hashlib.sha256(idempotency_key.encode()).hexdigest()[:20] if idempotency_key else secrets.token_hex(10)
    return f"report-{digits}"


def is_workflow_id(text: str) -> bool:
    """Tell whether `text` is a workflow id of ours. Nothing else is ever put into an object key or a query."""
    return _REPORT_ID.fullmatch(text) is not None


def pdf_key(report_id: str) -> str:
    """Return the key of a report's PDF."""
    return f"{REPORTS_PREFIX}{report_id}/report.pdf"


def markdown_key(report_id: str) -> str:
    """Return the key of a report's Markdown."""
    return f"{REPORTS_PREFIX}{report_id}/report.md"


def summary_key(report_id: str) -> str:
    """Return the key of `report.json`: what the report was, kept after Temporal's retention."""
    return f"{REPORTS_PREFIX}{report_id}/report.json"


def report_prefix(report_id: str) -> str:
    """Return the prefix under which a report's objects lie."""
    return f"{REPORTS_PREFIX}{report_id}/"


def ledger_prefix(report_id: str) -> str:
    """Return the prefix under which a report's ledger lies."""
    return f"{LEDGER_PREFIX}{report_id}/"


def register_key(report_id: str, call_id: str, request_hash: str) -> str:
    """Return the key of a call's register object. No run id: a retry, a reset and a second run find it."""
    return f"{LEDGER_PREFIX}{report_id}/{call_id}/{request_hash}.json"


def report_id_of(key: str) -> str:
    """Return the workflow id in an object key made here.

    Raises:
        ValueError: The key is not one of ours.
    """
    parts = key.split("/")
    if len(parts) < 3 or f"{parts[0]}/" not in (REPORTS_PREFIX, LEDGER_PREFIX) or not is_workflow_id(parts[1]):
        raise ValueError(f"not an object key of a report: {key!r}")
    return parts[1]
