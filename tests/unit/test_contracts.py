"""What crosses a process boundary."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import activity

from services.contracts import activities, ids
from services.contracts.llm import LLMCallInput, Message
from services.llm_worker.activities import LLMActivities
from services.llm_worker.register import request_hash
from services.pdf_worker.activities import PDFActivities


@pytest.mark.parametrize(
    ("stub", "real"), [(activities.llm_call, LLMActivities.llm_call), (activities.create_pdf, PDFActivities.create_pdf)]
)
def test_a_stub_is_what_the_worker_registers(stub: Callable[..., Any], real: Callable[..., Any]) -> None:
    def shape(function: Callable[..., Any]) -> tuple[str | None, list[Any], Any]:
        definition = activity._Definition.must_from_callable(function)
        signature = inspect.signature(function)
        arguments = [parameter.annotation for name, parameter in signature.parameters.items() if name != "self"]
        return definition.name, arguments, signature.return_annotation

    assert shape(stub) == shape(real)


def test_a_workflow_id_follows_from_the_key_and_is_random_without() -> None:
    assert ids.workflow_id("a key") == ids.workflow_id("a key") != ids.workflow_id("another")
    assert ids.workflow_id() != ids.workflow_id()
    assert all(ids.is_workflow_id(ids.workflow_id(key)) for key in (None, "k", "ключ"))


@pytest.mark.parametrize(
    "text", ["", "report-", "report-xyz", "report-" + "0" * 21, "../report-" + "0" * 20, "report-" + "A" * 20]
)
def test_nothing_else_is_a_workflow_id(text: str) -> None:
    assert not ids.is_workflow_id(text)


def test_a_key_leads_back_to_its_report() -> None:
    report = ids.workflow_id("k")
    keys = [
        ids.pdf_key(report),
        ids.markdown_key(report),
        ids.summary_key(report),
        ids.register_key(report, "research", "0" * 32),
    ]
    assert {ids.report_id_of(key) for key in keys} == {report}
    with pytest.raises(ValueError, match="not an object key"):
        ids.report_id_of("reports/../secret")


def test_fields_are_only_added_with_defaults() -> None:
    required = {
        cls.__name__: [
            field.name
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]
        for cls in _payloads()
    }
    # What the first version required. A name that comes here breaks what older workers send.
    assert required == {
        "Budget": [],
        "GenerateReportInput": ["prompt"],
        "GenerateReportOutput": ["result"],
        "LLMCallInput": ["call_id", "messages"],
        "LLMCallOutput": ["answer", "usage", "spend", "outcome", "model", "finish_reason"],
        "LLMHeartbeat": ["state", "tokens"],
        "Message": ["role", "content"],
        "ObjectRef": ["key", "sha256", "size"],
        "PDFGenerationInput": ["content", "filename"],
        "PDFGenerationOutput": ["pdf", "markdown", "pages", "bytes"],
        "PDFHeartbeat": ["pages"],
        "ReportProgress": ["stage", "title"],
        "Spend": [],
        "Usage": [],
    }


def test_no_payload_has_room_for_a_key() -> None:
    for cls in _payloads():
        for field in dataclasses.fields(cls):
            assert not re.search(r"api_?key|secret|password|credential", field.name), f"{cls.__name__}.{field.name}"


def test_the_request_hash_takes_in_what_is_sent_and_nothing_else() -> None:
    call = LLMCallInput(call_id="research", messages=[Message("user", "Tardigrades")], parameters={"temperature": 0.5})
    same = dataclasses.replace(call, call_id="other")
    others = [
        dataclasses.replace(call, model="openai/gpt-4o"),
        dataclasses.replace(call, messages=[Message("user", "tardigrades")]),
        dataclasses.replace(call, parameters={"temperature": 0.6}),
    ]
    assert request_hash(call) == request_hash(same)
    assert len({request_hash(call), *map(request_hash, others)}) == 4


def _payloads() -> list[type[Any]]:
    from services.contracts import llm, pdf, reports

    classes = {
        cls
        for module in (llm, pdf, reports, activities)
        for cls in vars(module).values()
        if dataclasses.is_dataclass(cls) and isinstance(cls, type)
    }
    return sorted(classes, key=lambda cls: cls.__name__)
