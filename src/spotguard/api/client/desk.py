"""What a handler of the client API is given: its tenant, and reads and writes that know it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.engine import Connection
from starlette.datastructures import Headers
from starlette.types import Scope

from spotguard.api import credentials
from spotguard.api.body import decode_any, read_body
from spotguard.api.context import Api
from spotguard.api.credentials import Shown
from spotguard.api.problems import Problem, invalid
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ReplicaId, SwitchId
from spotguard.store.views_paging import HIGHEST_LIMIT, Asked

T = TypeVar("T")
CALLED_BY_SENDER = "spotguard.content_type"  # of a scope: what the sender called its body


@dataclass(frozen=True)
class Desk:
    """One request of one tenant, at one moment."""

    api: Api
    client_id: ClientId
    now: datetime
    shown: Shown

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.api.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self.api.write(work)

    @property
    def listened_since(self) -> datetime | None:
        """Nobody could be heard before; None: somebody always listened."""
        return self.api.hearing.since(self.now)

    def wake(self, instance_id: str | None = None) -> None:
        """After the commit: the coordinator, and the instance that something changed for."""
        self.api.wakeup.coordinator()
        if instance_id is not None:
            self.api.wakeup.agent(instance_id)


def api_of(request: Request) -> Api:
    api = request.app.state.api
    if not isinstance(api, Api):
        raise TypeError("the application was not made by create_app")
    return api


async def desk_of(request: Request) -> Desk:
    api, now = api_of(request), api_of(request).clock.now()
    shown = credentials.shown_by(request)
    client_id = await api.read(lambda tx: credentials.tenant(tx, now, shown))
    return Desk(api, client_id, now, shown)


async def asked_of(
    limit: Annotated[int, Query(ge=1, le=HIGHEST_LIMIT)] = 100,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> Asked:
    return Asked(limit, cursor)


AtDesk = Annotated[Desk, Depends(desk_of)]
AskedFor = Annotated[Asked, Depends(asked_of)]
TheAgent = Annotated[AgentId, Path(alias="agentId", max_length=36)]
TheReplica = Annotated[ReplicaId, Path(alias="replicaId", max_length=36)]
TheInstance = Annotated[InstanceId, Path(alias="instanceId", max_length=64)]
TheSwitch = Annotated[SwitchId, Path(alias="switchId", max_length=36)]
Days = Annotated[int, Query(ge=1, le=90)]


class StrictRequest(Request):
    """A request whose body is bounded and strictly JSON."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read_body(self, api_of(self).settings)
        return self._body

    async def json(self) -> Any:
        raw = await self.body()
        try:
            return decode_any(raw)
        except Problem:
            await desk_of(self)  # whoever has no credential is told that first
            raise


class StrictRoute(APIRoute):
    """A FastAPI route over `StrictRequest`. A parameter that it does not know is refused: it may be one mistyped."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        known = _parameters(self.dependant)

        async def strict(request: Request) -> Response:
            unknown = sorted(request.query_params.keys() - known)
            if unknown:
                await desk_of(request)  # whoever has no credential is told that first
                raise invalid(f"/query/{unknown[0]}", "no such parameter here")
            answer = await handler(StrictRequest(_as_json(request.scope), request.receive))
            answer.headers["Cache-Control"] = "no-store"  # nothing of a tenant stays behind in a browser
            return answer

        return strict


def _parameters(dependant: Dependant) -> set[str]:
    """The names of all that a handler and what it depends on read from the query."""
    mine = {field.alias for field in dependant.query_params}
    return mine.union(*(_parameters(further) for further in dependant.dependencies))


def _as_json(scope: Scope) -> Scope:
    """A body is JSON whatever it is called: `curl -d` calls it a form, and nothing but JSON is ever taken.

    What browsers send across sites without asking carries no bearer token, no CSRF token, and no cookie of ours.
    """
    other = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {
        **scope,
        "headers": [*other, (b"content-type", b"application/json")],
        CALLED_BY_SENDER: Headers(scope=scope).get("content-type", ""),
    }


def router() -> APIRouter:
    return APIRouter(prefix="/api/client", route_class=StrictRoute, tags=["client"])
