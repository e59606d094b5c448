"""The provider's bill beside the registers: every request billed must stand in a register, and nothing else."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.contracts import ids
from services.llm_worker.register import AttemptState, Register
from services.runtime.object_store import ObjectStore


@dataclass
class Account:
    """What one variant came to.

    Attributes:
        requests: Billed by the provider.
        attempts: Purchases that stand in the registers as possibly billed.
        killed_before_sending: One line for each attempt that the provider never saw.
        unaccounted: One line for each report whose requests the registers cannot explain.
    """

    requests: int = 0
    attempts: int = 0
    killed_before_sending: list[str] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)


def prompt_hash(prompt: str) -> str:
    """Return what the simulator's bill calls a prompt."""
    return hashlib.sha256(prompt.strip().encode()).hexdigest()


def ideal_tokens(bill: Mapping[str, Any], answer_tokens: int) -> int:
    """Return what the reports on the bill cost undisturbed: each prompt's input once, and one whole answer."""
    first: dict[str, int] = {}
    for request in bill["requests_log"]:
        if request["state"] != "refused":
            first.setdefault(request["prompt_hash"], request["input_tokens"] - request["prefix_tokens"])
    return sum(first.values()) + answer_tokens * len(first)


def compare(store: ObjectStore, bill: Mapping[str, Any], reports: Mapping[str, str]) -> Account:
    """Compare the bill with the registers, report by report.

    Args:
        store: Holds the registers.
        bill: The simulator's `/billing`.
        reports: Report id to prompt; no two prompts alike.
    """
    account = Account()
    for report_id, prompt in reports.items():
        billed = bill["by_prompt"].get(prompt_hash(prompt), {}).get("requests", 0)
        attempts = [
            attempt
            for key in store.keys(ids.ledger_prefix(report_id))
            for attempt in Register.decode(store.read(key).data).attempts
            if attempt.purchase and attempt.billed
        ]
        account.requests += billed
        account.attempts += len(attempts)
        unseen = len(attempts) - billed
        # Killed with nothing received: the only ones that may have died before they sent.
        silent = [a for a in attempts if a.state is AttemptState.LOST and not a.output_tokens]
        if not 0 <= unseen <= len(silent):
            account.unaccounted.append(
                f"{report_id}: {billed} requests billed, {len(attempts)} attempts in the register"
            )
        elif unseen:
            owners = ", ".join(attempt.owner for attempt in silent)
            account.killed_before_sending.append(
                f"{report_id}: {unseen} of {len(attempts)} attempts never reached the provider (one of: {owners})"
            )
    if account.requests != bill["requests"]:
        account.unaccounted.append(f"{bill['requests'] - account.requests} requests of no report that was made")
    return account
