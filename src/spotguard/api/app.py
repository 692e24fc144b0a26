"""The application: every route, every error as a problem document, every request counted."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cache

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import State
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from spotguard import __version__
from spotguard.api import contract, credentials, dashboard, problems, telemetry_routes
from spotguard.api.agent_routes import AGENT_CALLS
from spotguard.api.client import (
    agent_controls,
    agents,
    backtests,
    controls,
    decisions,
    deletions,
    drills,
    instances,
    leftovers,
    market,
    probes,
    replicas,
    session,
    stream,
    switches,
    tokens,
)
from spotguard.api.context import Api
from spotguard.api.hearing import Hearing
from spotguard.api.limiting import IsGood, Limited
from spotguard.api.offload import Offload, Threads
from spotguard.api.replaying import Replays
from spotguard.api.settings import ApiSettings
from spotguard.ports.clock import Clock
from spotguard.ports.replay import Replayer
from spotguard.ports.wakeup import Wakeup
from spotguard.store.database import Database, is_away

CLIENT_ROUTES = (
    agents.routes,
    agent_controls.routes,
    backtests.routes,
    replicas.routes,
    decisions.routes,
    deletions.routes,
    drills.routes,
    instances.routes,
    switches.routes,
    market.routes,
    controls.routes,
    probes.routes,
    leftovers.routes,
    session.routes,
    stream.routes,
    tokens.routes,
)


@dataclass(frozen=True)
class Application:
    """The ASGI application. `end`: about to close; long polls and event streams answer and end at once.

    `hearing`: give it a thread where time may pass without this process.
    """

    app: ASGIApp
    end: Callable[[], None]
    hearing: Hearing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def create_app(
    db: Database,
    clock: Clock,
    wakeup: Wakeup,
    *,
    settings: ApiSettings | None = None,
    offload: Offload | None = None,
    replayer: Replayer | None = None,
) -> Application:
    """The ASGI application over a migrated database.

    `wakeup`: give `wakeups.Wakeups`, so that long polls of this process are woken; any other is told, too, but its
    polls look once a second. `offload`: threads unless told otherwise; `offload.inline` for a single thread.
    `replayer`: works backtests out; without one they are refused.
    """
    api = Api(db, clock, wakeup, settings or ApiSettings(), offload or Threads(), replays=Replays(replayer))
    client_api = client_app(api)
    metrics = telemetry_routes.Metrics(api)
    # Tried in order, the hot ones first; whatever is none of these is FastAPI's.
    plain = [call.route(api) for call in AGENT_CALLS]
    plain += [
        *telemetry_routes.routes(api, metrics),
        *contract.routes(client_api),
        *dashboard.routes(api.settings.notice),
    ]
    unknown = dashboard.or_page(client_api, api.settings.notice)
    app: ASGIApp = Router(plain, redirect_slashes=False, default=unknown)
    if api.settings.rate_limits is not None:
        app = Limited(app, clock, api.settings.rate_limits, _is_good(api))
    return Application(telemetry_routes.Measured(app, metrics), api.ending.begin, api.hearing)


def _is_good(api: Api) -> IsGood:
    async def is_good(token_hash: str) -> bool:
        now = api.clock.now()
        try:
            return await api.read(lambda tx: credentials.opens_anything(tx, now, token_hash))
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            return False  # nobody can be told apart: the limit stands

    return is_good


def client_app(api: Api) -> FastAPI:
    """The client API, and every path that is unknown."""
    app = copy(_routed())
    app.state = State({"api": api})
    return app


@cache
def _routed() -> FastAPI:
    """Every route, of no Api yet. Once in a process: FastAPI works long on each at its first request."""
    app = FastAPI(
        title="SpotGuard",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    for routes in CLIENT_ROUTES:
        app.include_router(routes)
    return app
