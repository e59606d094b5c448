"""The HTTP application: the provider's API, and the simulator's own pages."""

import time

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.simulator.chat import ChatCompletions
from services.simulator.errors import ProviderError, provider_error_response
from services.simulator.options import Options
from services.simulator.provider import Provider
from services.simulator.responses import Responses

MODELS = ("simulator", "gpt-4o", "gpt-4o-mini")
"""Listed for clients that look; any other name but `no-such-model` is answered too."""


class _Raw:
    """Marks a coroutine function as an ASGI application, which Starlette would take for a view."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class Simulator:
    """The pages that are not the provider's API."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._started = int(time.time())

    async def models(self, request: Request) -> Response:
        """List the models."""
        self._provider.check_key(request)
        models = [{"id": name, "object": "model", "created": self._started, "owned_by": "simulator"} for name in MODELS]
        return JSONResponse({"object": "list", "data": models})

    async def healthy(self, _request: Request) -> Response:
        """Say that the process answers, which is all that readiness asks of it."""
        return PlainTextResponse("ok\n")

    async def metrics(self, _request: Request) -> Response:
        """Give the counters in Prometheus' text format."""
        return Response(generate_latest(self._provider.billing.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def billing(self, request: Request) -> Response:
        """Show the bill, or begin a new one."""
        if request.method == "DELETE":
            self._provider.billing.reset()
        with_log = request.query_params.get("log", "1") != "0"
        return JSONResponse(self._provider.billing.snapshot(with_log=with_log))

    async def control(self, request: Request) -> Response:
        """Show, change or reset the options."""
        if request.method == "DELETE":
            self._provider.set_options(None)
        elif request.method == "POST":
            try:
                values = await request.json()
                if not isinstance(values, dict):
                    raise ValueError("the body must be a JSON object of options")
                self._provider.set_options(self._provider.options.changed(values))
            except ValueError as error:
                raise ProviderError(400, str(error)) from None
        return JSONResponse(self._provider.options.as_dict())


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return ProviderError(error.status_code, f"{error.detail}: see the simulator's README for its paths.").response()


def create_app(options: Options, key: str = "") -> Starlette:
    """Build the application.

    Args:
        options: What it starts with.
        key: The only API key that is let in; empty: every key but `wrong...` is.
    """
    provider = Provider(options, key)
    pages = Simulator(provider)
    responses = Responses(provider)
    routes: list[BaseRoute] = [
        Route("/v1/chat/completions", ChatCompletions(provider), methods=["POST"]),
        Route("/v1/responses", _Raw(responses.create), methods=["POST"]),
        Route("/v1/responses/{response_id}", _Raw(responses.retrieve), methods=["GET"]),
        Route("/v1/responses/{response_id}", _Raw(responses.delete), methods=["DELETE"]),
        Route("/v1/responses/{response_id}/cancel", _Raw(responses.cancel), methods=["POST"]),
        Route("/v1/models", pages.models),
        Route("/billing", pages.billing, methods=["GET", "DELETE"]),
        Route("/control", pages.control, methods=["GET", "POST", "DELETE"]),
        Route("/livez", pages.healthy),
        Route("/readyz", pages.healthy),
        Route("/metrics", pages.metrics),
    ]
    handlers = {ProviderError: provider_error_response, HTTPException: _http_error}
    return Starlette(routes=routes, exception_handlers=handlers)
