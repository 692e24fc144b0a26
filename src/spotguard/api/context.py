"""What every handler has at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.body import decode, read_body
from spotguard.api.hearing import Hearing
from spotguard.api.market import MarketMemory
from spotguard.api.offload import Offload
from spotguard.api.problems import Problem
from spotguard.api.replaying import Replays
from spotguard.api.settings import ApiSettings
from spotguard.api.wakeups import Ending
from spotguard.domain.ids import ClientId
from spotguard.models.shelf import Shelf
from spotguard.ports.clock import Clock
from spotguard.ports.wakeup import Wakeup
from spotguard.store.database import Database

T = TypeVar("T")
_ENCODER = msgspec.json.Encoder()


def _answer(tx: Connection) -> object:
    return tx.execute(sa.select(1)).one()


@dataclass
class Api:
    """The parts that `create_app` was given. `long_polls` (by instance) and `streams` (by tenant) count what waits
    here.
    """

    db: Database
    clock: Clock
    wakeup: Wakeup
    settings: ApiSettings
    offload: Offload
    market: MarketMemory = field(default_factory=MarketMemory)
    ending: Ending = field(default_factory=Ending)
    replays: Replays = field(default_factory=lambda: Replays(None))
    hearing: Hearing = field(init=False)
    long_polls: Counter[str] = field(default_factory=Counter)
    streams: Counter[ClientId] = field(default_factory=Counter)
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.hearing = Hearing(lambda: self.db.read(_answer), self.clock)
        told = self.settings
        self.shelf = Shelf(told.model_folder, timedelta(days=told.model_stale_days))

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.offload(lambda: self.db.read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self.offload(lambda: self.db.write(work))

    async def body(self, request: Request, decoder: msgspec.json.Decoder[T]) -> T:
        """The request's body. Whoever has no credential is told that, not what is wrong with the body."""
        shown = credentials.shown_by(request)
        raw = await read_body(request, self.settings)
        try:
            return decode(raw, decoder)
        except Problem:
            now = self.clock.now()
            await self.read(lambda tx: credentials.require_any(tx, now, shown.hash))
            raise


def reply(content: Any, status: int = 200) -> Response:
    """A msgspec struct as JSON."""
    return Response(_ENCODER.encode(content), status, media_type="application/json")
