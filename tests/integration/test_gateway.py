"""The gateway as a process, with a real Temporal and a real object store."""

import asyncio
import hashlib
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError

from services.cli.stack import LocalStack
from services.contracts import ids
from tests.integration.gateway_fixtures import MARKDOWN, PDF, TITLE, Service, connected, events, until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path_factory.mktemp("gateway"), simulator=False, web_ui=False)
    # Temporal deletes an execution once its queues have caught up, which it looks at every 30 s by default.
    for queue in ("transfer", "visibility", "timer"):
        interval = f'history.{queue}ProcessorUpdateAckInterval="100ms"'
        stack.temporal.argv += ["--dynamic-config-value", interval]
    stack.gateway.env["TEMPORAL_UI_URL"] = "http://ui.example/"
    stack.start([stack.temporal, stack.object_store, stack.gateway])
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**stack.temporal_env, **stack.s3_env}.items():
            environment.setenv(name, value)
        yield stack
    stack.stop()


@pytest.fixture
async def service(stack: LocalStack) -> AsyncIterator[Service]:
    async with connected(stack) as service:
        yield service


async def test_a_report_from_the_prompt_to_the_file(service: Service) -> None:
    async with service.working() as fakes:
        answer = await service.api.post(
            "/v1/reports", json={"prompt": "How do they survive?\nAll of it.", "model": "a/b", "language": "DE"}
        )
        assert answer.status_code == 202
        begun = answer.json()
        assert answer.headers["location"] == begun["links"]["self"] == f"/v1/reports/{begun['id']}"
        assert (begun["status"], begun["stage"]) == ("queued", "queued")
        assert begun["title"] == "How do they survive?"
        report = await service.ended(begun["id"])
    assert fakes.calls[0].model == "a/b"
    assert (report["status"], report["stage"]) == ("completed", "done")
    assert report["title"] == TITLE
    assert report["prompt"] == "How do they survive?\nAll of it."
    assert report["model"] == "a/b"
    assert report["spend"]["cost_usd"] == 0.5
    assert (report["pages"], report["size"], report["warnings"]) == (3, len(PDF), ["one warning"])
    assert report["error"] is None
    assert report["last_failure"] is None
    assert report["links"]["temporal"].startswith(f"http://ui.example/namespaces/default/workflows/{begun['id']}/")

    pdf = await service.api.get(report["links"]["pdf"])
    assert pdf.content == PDF
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.headers["content-length"] == str(len(PDF))
    assert pdf.headers["etag"] == f'"{hashlib.sha256(PDF).hexdigest()}"'
    assert pdf.headers["x-content-type-options"] == "nosniff"
    disposition = pdf.headers["content-disposition"]
    assert disposition == "attachment; filename=\"wasserbaren.pdf\"; filename*=UTF-8''wasserb%C3%A4ren.pdf"
    unchanged = await service.api.get(report["links"]["pdf"], headers={"If-None-Match": pdf.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    part = await service.api.get(report["links"]["pdf"], headers={"Range": "bytes=100000-100099"})
    assert (part.status_code, part.content) == (206, PDF[100_000:100_100])
    assert part.headers["content-range"] == f"bytes 100000-100099/{len(PDF)}"
    outside = await service.api.get(report["links"]["pdf"], headers={"Range": "bytes=999999999-"})
    assert outside.status_code == 416

    markdown = await service.api.get(report["links"]["markdown"])
    assert markdown.content == MARKDOWN
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"


async def test_a_page_that_rebound_its_name_to_this_machine_reads_nothing(service: Service) -> None:
    answer = await service.api.get("/v1/reports", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["title"]) == (421, "Misdirected Request")


async def test_queued_until_a_worker_takes_it(service: Service) -> None:
    report_id = await service.start("wait for a worker")
    queued = await service.report(report_id)
    assert (queued["status"], queued["stage"], queued["closed_at"]) == ("queued", "queued", None)
    assert (await service.api.get(f"/v1/reports/{report_id}/pdf")).status_code == 409
    async with service.working():
        await service.ended(report_id)


async def test_the_step_under_way_and_its_ticks(service: Service) -> None:
    async with service.working() as fakes:
        report_id = await service.start("slow research, slow pdf")
        research = await service.until(report_id, lambda report: report["tokens_so_far"] is not None)
        assert (research["status"], research["stage"]) == ("in_progress", "research")
        assert research["tokens_so_far"] == 42
        listening = events(service.api, report_id)
        seen = []
        async for event in listening:
            seen.append(event)
            if event.name == "tick" and event.data["tokens_so_far"] == 42:
                fakes.go_on.set()
        assert [event.id for event in seen if event.name == "tick"] == [""]
        fakes.go_on.clear()
        second = await service.start("slow pdf")
        pdf = await service.until(second, lambda report: report["pages_so_far"] is not None)
        assert (pdf["stage"], pdf["pages_so_far"], pdf["spend"]["calls"]) == ("pdf", 7, 1)
        fakes.go_on.set()
        await service.ended(second)


async def test_a_pause_is_shown(service: Service) -> None:
    async with service.working():
        report_id = await service.start("pause", pause_seconds=600)
        paused = await service.until(report_id, lambda report: report["stage"] == "pause")
        assert (paused["status"], paused["title"]) == ("in_progress", TITLE)
        page = (await service.api.get("/v1/reports?status=in_progress&limit=100")).json()["reports"]
        assert [report["stage"] for report in page if report["id"] == report_id] == ["pause"]
        cancelled = await service.api.post(f"/v1/reports/{report_id}/cancel")
        assert cancelled.status_code == 202
        ended = await service.ended(report_id)
        assert (ended["status"], ended["stage"], ended["error"]) == ("cancelled", "pause", None)
        again = await service.api.post(f"/v1/reports/{report_id}/cancel")
        assert (again.status_code, again.json()["status"]) == (202, "cancelled")


async def test_a_step_that_keeps_failing_shows_why(service: Service) -> None:
    async with service.working() as fakes:
        report_id = await service.start("full disk")
        waiting = await service.until(report_id, lambda report: report["attempt"] >= 2)
        assert (waiting["status"], waiting["stage"]) == ("in_progress", "pdf")
        assert waiting["last_failure"] == {"type": "storage", "message": "The disk is full."}
        names = []
        async for event in events(service.api, report_id):
            names.append(event.name)
            if event.name == "retry":
                assert event.id == ""
                assert event.data["last_failure"]["type"] == "storage"
                fakes.mended.set()
        assert "retry" in names
        assert names[-1] == "completed"


async def test_a_failed_report_says_why_and_is_retried(service: Service) -> None:
    key = {"Idempotency-Key": "retried"}
    body = {"prompt": "wrong key"}
    async with service.working() as fakes:
        report_id = (await service.api.post("/v1/reports", json=body, headers=key)).json()["id"]
        failed = await service.ended(report_id)
        assert failed["status"] == "failed"
        reason = {"type": "llm-authentication", "message": "The provider refused the key. Set LLM_API_KEY."}
        assert failed["error"] == reason
        assert failed["spend"]["cost_usd"] == 0.25, "what a failed report has cost is told all the same"
        names = [event.name async for event in events(service.api, report_id)]
        assert names[-1] == "failed"
        assert (await service.api.post("/v1/reports", json=body, headers=key)).status_code == 200

        fakes.mended.set()
        retries = [service.api.post(f"/v1/reports/{report_id}/retry", json={"model": "x/other"}) for _ in range(5)]
        statuses = [answer.status_code for answer in await asyncio.gather(*retries)]
        assert 202 in statuses
        assert set(statuses) <= {202, 409}, "a late one finds the report running"
        done = await service.ended(report_id)
        assert (done["status"], done["model"], done["prompt"]) == ("completed", "x/other", "wrong key")
        assert len(fakes.calls) == 2

        refused = await service.api.post(f"/v1/reports/{report_id}/retry")
        assert refused.status_code == 409
        same = await service.api.post("/v1/reports", json=body, headers=key)
        assert (same.status_code, same.json()["id"]) == (200, report_id)
        await until_listed(service, report_id, "completed")
        assert report_id not in await listed(service, "failed"), "the run that failed was superseded"


async def test_a_hundred_equal_requests_make_one_report(service: Service) -> None:
    key = {"Idempotency-Key": "one of a hundred"}
    body = {"prompt": "only once", "language": "en"}
    async with service.working() as fakes:
        posts = [service.api.post("/v1/reports", json=body, headers=key) for _ in range(100)]
        answers = await asyncio.gather(*posts)
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(202), statuses.count(200)) == (1, 99)
        (report_id,) = {answer.json()["id"] for answer in answers}
        assert report_id == ids.workflow_id("one of a hundred")
        await service.ended(report_id)
        assert len(fakes.calls) == 1
        other = await service.api.post("/v1/reports", json={**body, "prompt": "something else"}, headers=key)
        assert other.status_code == 422
        assert other.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_what_temporal_has_forgotten_is_read_from_the_bucket(service: Service) -> None:
    key, body = {"Idempotency-Key": "kept"}, {"prompt": "keep me"}
    async with service.working() as fakes:
        report_id = (await service.api.post("/v1/reports", json=body, headers=key)).json()["id"]
        before = await service.ended(report_id)
        # What retention does in the end.
        await delete_from_temporal(service, report_id)
        after = await service.report(report_id)
        same = ("id", "status", "stage", "title", "prompt", "model", "spend", "pages", "size", "warnings")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}
        assert (await service.api.get(after["links"]["pdf"])).content == PDF
        assert [event.name async for event in events(service.api, report_id)] == ["completed"]
        assert (await service.api.post(f"/v1/reports/{report_id}/retry")).status_code == 409
        assert (await service.api.post(f"/v1/reports/{report_id}/cancel")).json()["status"] == "completed"

        again = await service.api.post("/v1/reports", json=body, headers=key)
        assert (again.status_code, again.json()["id"]) == (200, report_id)
        other = await service.api.post("/v1/reports", json={"prompt": "another"}, headers=key)
        assert other.status_code == 422
        assert len(fakes.calls) == 1

        assert (await service.api.delete(f"/v1/reports/{report_id}")).status_code == 204
        assert (await service.api.get(f"/v1/reports/{report_id}")).status_code == 404


async def test_delete_leaves_nothing(service: Service) -> None:
    async with service.working() as fakes:
        report_id = await service.start("wrong key, delete me")
        await service.ended(report_id)
        fakes.mended.set()
        await service.api.post(f"/v1/reports/{report_id}/retry")
        await service.ended(report_id)
        running = await service.start("slow research")
        assert (await service.api.delete(f"/v1/reports/{running}")).status_code == 409
        fakes.go_on.set()
        await service.ended(running)
    ledger = ids.register_key(report_id, "research", "0" * 64)
    await asyncio.to_thread(service.store.put, ledger, b"{}", "application/json")
    await until_listed(service, report_id, "completed")

    assert (await service.api.delete(f"/v1/reports/{report_id}")).status_code == 204
    assert (await service.api.get(f"/v1/reports/{report_id}")).status_code == 404
    for prefix in (ids.report_prefix(report_id), ids.ledger_prefix(report_id)):
        assert list(service.store.keys(prefix)) == []

    async def forgotten() -> bool:
        return not [run async for run in service.temporal.list_workflows(f"WorkflowId = '{report_id}'")]

    await until(forgotten)
    assert (await service.api.delete(f"/v1/reports/{report_id}")).status_code == 404


async def test_the_list_in_pages(service: Service) -> None:
    async with service.working() as fakes:
        held = await service.start("slow research: started first, ended last")
        others = [await service.start(f"number {number}") for number in range(4)]
        closed = {report_id: await closed_at(service, report_id) for report_id in others}
        for report_id in others:
            await until_listed(service, report_id, "completed")
        await until_listed(service, held, "in_progress")
        everything = await listed(service)
        assert all(everything.index(held) < everything.index(other) for other in others), "under way comes first"
        fakes.go_on.set()
        closed[held] = await closed_at(service, held)
        await until_listed(service, held, "completed")
    found: list[str] = []
    cursor = ""
    while True:
        answer = await service.api.get(f"/v1/reports?limit=2&status=completed{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["reports"]) <= 2
        assert {report["status"] for report in page["reports"]} <= {"completed"}
        found += [report["id"] for report in page["reports"]]
        if page["next_cursor"] is None:
            break
        one = page["next_cursor"]
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) == len(set(found))
    assert found[:5] == sorted(closed, key=closed.__getitem__, reverse=True), "the last ended comes first"
    assert found[0] == held
    for query in (f"status=failed&cursor={one}", f"cursor={one}", f"cursor={one[:-8]}", "cursor=OmZvcmdlZA=="):
        refused = await service.api.get(f"/v1/reports?{query}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor")


async def test_events_resume_after_the_last_one_seen(service: Service) -> None:
    async with service.working() as fakes:
        report_id = await service.start("slow research")
        first = []
        async for event in events(service.api, report_id):
            first.append(event)
            if event.data.get("stage") == "research":
                break
        assert [(event.name, event.data["stage"]) for event in first] == [("stage", "queued"), ("stage", "research")]
        # Another process takes over: nothing of the stream was in the first one's memory.
        service.stack.gateway.kill()
        service.stack.gateway.restart()
        fakes.go_on.set()
        rest = [event async for event in events(service.api, report_id, first[-1].id) if event.name != "tick"]
        assert [(event.name, event.data["stage"]) for event in rest] == [("stage", "pdf"), ("completed", "done")]
        whole = [event async for event in events(service.api, report_id)]
        assert [(event.name, event.id) for event in whole] == [(event.name, event.id) for event in first + rest]
        headers = {"Last-Event-ID": rest[-1].id}
        assert (await service.api.get(f"/v1/reports/{report_id}/events", headers=headers)).status_code == 204
        garbage = [event.name async for event in events(service.api, report_id, "not a number")]
        assert garbage == [event.name for event in whole]


async def test_temporal_goes_away_and_comes_back(service: Service) -> None:
    report_id = await service.start("outlives Temporal")
    gateway = service.stack.gateway

    connected_once = asyncio.Event()

    async def listen() -> list[str]:
        names = []
        async for event in events(service.api, report_id):
            names.append(event.name)
            connected_once.set()
        return names

    listening = asyncio.create_task(listen())
    await connected_once.wait()
    await asyncio.to_thread(service.stack.temporal.terminate)
    answers = await asyncio.gather(
        service.api.get(f"/v1/reports/{report_id}"),
        service.api.get("/v1/reports"),
        service.api.post("/v1/reports", json={"prompt": "not now"}),
    )
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
    assert (await service.api.get("/healthz")).status_code == 200
    assert gateway.running

    await asyncio.to_thread(service.stack.temporal.restart)
    await service.until_answered(f"/v1/reports/{report_id}", 200)
    async with connected(service.stack) as again, again.working():
        assert (await again.ended(report_id))["status"] == "completed"
        async with asyncio.timeout(30):
            assert (await listening)[-1] == "completed"


async def test_a_hanging_temporal_does_not_hang_the_gateway(service: Service) -> None:
    service.stack.temporal.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            answer = await service.api.get("/v1/reports/report-00000000000000000000")
        assert answer.status_code == 503
    finally:
        service.stack.temporal.signal(signal.SIGCONT)
    await service.until_answered("/v1/reports/report-00000000000000000000", 404)


async def test_without_the_store_reports_are_still_accepted(service: Service) -> None:
    async with service.working():
        done = await service.start("before")
        await service.ended(done)
        service.stack.object_store.terminate()
        try:
            assert (await service.api.get(f"/v1/reports/{done}/pdf")).status_code == 503
            accepted = await service.api.post(
                "/v1/reports", json={"prompt": "meanwhile"}, headers={"Idempotency-Key": "meanwhile"}
            )
            assert accepted.status_code == 202
            report_id = accepted.json()["id"]
        finally:
            await asyncio.to_thread(service.stack.object_store.restart)
        assert (await service.ended(report_id))["status"] == "completed"


async def test_a_file_changed_from_outside_is_not_served(service: Service) -> None:
    async with service.working():
        report_id = await service.start("forge me")
        await service.ended(report_id)
    await asyncio.to_thread(service.store.put, ids.pdf_key(report_id), PDF[::-1], "application/pdf")
    with pytest.raises(httpx.RemoteProtocolError):
        await service.api.get(f"/v1/reports/{report_id}/pdf")
    await asyncio.to_thread(service.store.put, ids.pdf_key(report_id), PDF[:9], "application/pdf")
    torn = await service.api.get(f"/v1/reports/{report_id}/pdf")
    assert (torn.status_code, torn.json()["type"]) == (500, "urn:tardigrade:problem:corrupt-object")
    await asyncio.to_thread(service.store.put, ids.pdf_key(report_id), PDF, "application/pdf")
    summary = ids.summary_key(report_id)
    hostile = json.loads(service.store.read(summary).data) | {"filename": '"\r\nX-Evil: 1'}
    hostile["pdf"]["key"] = "probe/elsewhere"
    await asyncio.to_thread(service.store.put, summary, json.dumps(hostile).encode(), "application/json")
    answer = await service.api.get(f"/v1/reports/{report_id}/pdf")
    assert answer.content == PDF, "the key comes from the id alone"
    assert "x-evil" not in answer.headers


async def test_a_signal_ends_the_streams_and_the_gateway(service: Service) -> None:
    gateway = service.stack.gateway
    report_id = await service.start("nobody works")

    async def listen() -> list[str]:
        names = []
        async for event in events(service.api, report_id):
            names.append(event.name)
            asyncio.get_running_loop().run_in_executor(None, gateway.signal, signal.SIGTERM)
        return names

    try:
        async with asyncio.timeout(10):
            assert await listen() == ["stage"]
        assert await asyncio.to_thread(gateway.wait, 10) == 0
    finally:
        await asyncio.to_thread(gateway.restart)
    assert (await service.report(report_id))["status"] == "queued"


async def test_the_log_has_no_prompt_and_the_pod_port_has_the_metrics(service: Service) -> None:
    async with service.working():
        await service.ended(await service.start("a very private prompt"))
    text = await asyncio.to_thread(service.stack.gateway.log_path.read_text)
    assert "private" not in text
    port = re.findall(r'"pod_http_port": ?(\d+)|pod_http_port=(\d+)', text)[-1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port[0] or port[1]}") as pod:
        metrics = (await pod.get("/metrics")).text
        assert 'tardigrade_http_requests_total{method="POST",route="/v1/reports",status="202"}' in metrics
        assert "temporal_request_total" in metrics
        assert (await pod.get("/livez")).status_code == (await pod.get("/readyz")).status_code == 200


async def delete_from_temporal(service: Service, report_id: str) -> None:

    execution = WorkflowExecution(workflow_id=report_id)
    await service.temporal.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=execution)
    )

    async def forgotten() -> bool:
        try:
            await service.temporal.get_workflow_handle(report_id).describe()
        except RPCError:
            return True
        return False

    await until(forgotten)


async def closed_at(service: Service, report_id: str) -> datetime:
    return datetime.fromisoformat((await service.ended(report_id))["closed_at"])


async def listed(service: Service, status: str = "") -> list[str]:
    query = {"limit": "100"} | ({"status": status} if status else {})
    answer = await service.api.get("/v1/reports", params=query)
    assert answer.status_code == 200, answer.text
    return [report["id"] for report in answer.json()["reports"]]


async def until_listed(service: Service, report_id: str, status: str) -> None:
    async def is_listed() -> bool:
        return report_id in await listed(service, status)

    await until(is_listed)
