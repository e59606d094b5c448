"""The Responses API: `/v1/responses`, with background mode and resuming by cursor.

A response made in the background goes on without its client and is billed once, in full; any other ends with its
client. Nothing is idempotent: each POST is billed.
"""

from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from services.simulator.chat import STREAM_ERROR
from services.simulator.connection import forever, while_connected
from services.simulator.errors import ProviderError
from services.simulator.faults import BREAKS, RETRIEVALS
from services.simulator.generation import Generation
from services.simulator.provider import Provider

KEPT = 1_000
"""The latest responses can be fetched again; older ones are gone."""

MALFORMED = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\n\n'


class Responses:
    """The endpoints, as plain ASGI applications."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._stored: OrderedDict[str, Generation] = OrderedDict()

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `POST /v1/responses`."""
        request = Request(scope, receive)
        job, body = await self._provider.accept(request, "response")
        generation = Generation(self._provider, job, body)
        connection = _Connection(generation, scope, receive, send)
        if job.fault == "hang":
            await while_connected(forever(), receive)
            self._provider.billing.close(job.charge, "client_gone")
        elif generation.background:
            self._store(generation)
            generation.start()
            if generation.streamed:
                await while_connected(connection.stream(-1, broken=True), receive)
            else:
                await JSONResponse(generation.as_dict())(scope, receive, send)
        else:
            await self._foreground(generation, connection, receive, store=body.get("store") is not False)

    async def _foreground(
        self, generation: Generation, connection: "_Connection", receive: Receive, *, store: bool
    ) -> None:
        billing, charge = self._provider.billing, generation.job.charge
        task = generation.start()
        finished = False
        try:
            work = connection.stream(-1, broken=True) if generation.streamed else connection.whole()
            finished = await while_connected(work, receive)
        finally:
            task.cancel()
            broken = generation.job.fault in BREAKS
            billing.close(charge, ("failed" if broken else "finished") if finished else "client_gone")
        if generation.ended and store:
            self._store(generation)

    def _store(self, generation: Generation) -> None:
        self._stored[generation.job.charge.id] = generation
        if len(self._stored) > KEPT:
            self._stored.popitem(last=False)

    def _find(self, request: Request) -> Generation:
        self._provider.check_key(request)
        identifier = request.path_params["response_id"]
        generation = self._stored.get(identifier)
        if generation is None or self._struck(generation, "response-gone"):
            raise ProviderError(404, f"Response with id '{identifier}' not found.")
        return generation

    def _struck(self, generation: Generation, kind: str) -> bool:
        prompt = generation.job.prompt
        own = prompt.directives.get("fault")
        return self._provider.faults.take(RETRIEVALS & {kind}, prompt.sha256, own) is not None

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `GET /v1/responses/{id}`, as a stream from a cursor on or as it stands."""
        request = Request(scope, receive)
        generation = self._find(request)
        if request.query_params.get("stream") != "true":
            await JSONResponse(generation.as_dict())(scope, receive, send)
            return
        cursor = request.query_params.get("starting_after", "-1")
        if not cursor.lstrip("-").isdecimal():
            raise ProviderError(400, "'starting_after' must be a sequence number.", param="starting_after")
        if not (generation.background and generation.streamed):
            text = "Only a response created with background=true and stream=true can be streamed again."
            raise ProviderError(400, text, param="stream")
        if self._struck(generation, "cursor-refused"):
            text = "This response can no longer be streamed because it is more than 5 minutes old."
            raise ProviderError(400, text, param="starting_after")
        connection = _Connection(generation, scope, receive, send)
        await while_connected(connection.stream(int(cursor), broken=False), receive)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `POST /v1/responses/{id}/cancel`."""
        generation = self._find(Request(scope, receive))
        if not generation.background:
            raise ProviderError(400, "Only responses created with background=true can be cancelled.")
        generation.cancel()
        await JSONResponse(generation.as_dict())(scope, receive, send)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `DELETE /v1/responses/{id}`."""
        generation = self._find(Request(scope, receive))
        generation.cancel()
        identifier = generation.job.charge.id
        del self._stored[identifier]
        await JSONResponse({"id": identifier, "object": "response", "deleted": True})(scope, receive, send)


class _Connection:
    """One client that looks at a response."""

    def __init__(self, generation: Generation, scope: Scope, receive: Receive, send: Send) -> None:
        self._generation = generation
        self._scope = scope
        self._receive = receive
        self._send = send

    async def stream(self, after: int, *, broken: bool) -> None:
        """Send the events above a cursor; `broken`: let the request's fault break the stream."""
        job = self._generation.job
        breaks = broken and job.fault in BREAKS and job.fault != "failed"
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        async for events in self._generation.events(after, job.break_at if breaks else None):
            await self._write(events)
        match job.fault if breaks else "":
            case "stall":
                await forever()
            case "cut":
                return  # the server closes the connection when a response is left unfinished
            case "malformed":
                await self._write(MALFORMED, more=False)
            case "stream-error":
                await self._write(STREAM_ERROR, more=False)
            case _:
                await self._write(b"", more=False)

    async def whole(self) -> None:
        """Send the response once it has ended."""
        generation = self._generation
        await generation.wait()
        if generation.job.fault == "stall":
            await forever()
        response = JSONResponse(generation.as_dict())
        if generation.job.fault in BREAKS and generation.job.fault != "failed":
            headers = [(b"content-type", b"application/json")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._write(bytes(response.body[: len(response.body) // 2]), more=generation.job.fault != "malformed")
        else:
            await response(self._scope, self._receive, self._send)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
