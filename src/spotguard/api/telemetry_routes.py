"""`/health/live`, `/health/ready`, `/metrics`: for machines; they need no credential and tell nothing of any tenant."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spotguard.api.context import Api
from spotguard.api.problems import Problem, ProblemRoute
from spotguard.domain.errors import Refused
from spotguard.store import views_health

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 30)


class Metrics:
    """Counts requests by route (its template, never an id) and status."""

    def __init__(self, api: Api) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "spotguard_request_seconds",
            "Time to the end of the answer, long polls and streams included",
            ["method", "route", "status"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.failures = Counter(
            "spotguard_request_failures", "Requests that ended in an exception", registry=self.registry
        )
        polls = Gauge("spotguard_long_polls", "Long polls that wait in this process", registry=self.registry)
        polls.set_function(api.long_polls.total)
        streams = Gauge(
            "spotguard_event_streams", "Event streams open in this process", registry=self.registry
        )
        streams.set_function(api.streams.total)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class Measured:
    """The application, with every request counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._children: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _protect(message)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:  # counted here, raised again to whoever runs the application
            self._metrics.failures.inc()
            raise
        finally:
            self._observe(scope, status, time.perf_counter() - begun)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        template = getattr(route, "path", None) or scope.get("spotguard_route", "none")
        key = (scope["method"] if template != "none" else "-", template, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._metrics.seconds.labels(*key)
        child.observe(seconds)


def _protect(start: Message) -> None:
    """Nothing of a tenant, and no token, is kept by a cache on the way, or taken for something else."""
    headers = start.setdefault("headers", [])
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    headers.append((b"x-content-type-options", b"nosniff"))


def routes(api: Api, metrics: Metrics) -> Iterable[ProblemRoute]:
    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_request: Request) -> Response:
        try:
            await api.read(views_health.require_ready)
        except (SQLAlchemyError, Refused) as error:
            raise Problem(503, "the database cannot serve", headers={"Retry-After": "5"}) from error
        return JSONResponse({"status": "ready"})

    async def measured(_request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    yield ProblemRoute("/health/live", live)
    yield ProblemRoute("/health/ready", ready)
    yield ProblemRoute("/metrics", measured)
