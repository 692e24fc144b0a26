"""Look at the volumes, snapshots and images that carry our tags, and at the volumes that came with their owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator.agenda import Agenda, clients_at_work
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.observe import FORGET_SECONDS
from spotguard.coordinator.rates import rates_if_told
from spotguard.coordinator.turns import Turns
from spotguard.domain.ids import ClientId, VolumeId
from spotguard.domain.tags import CLIENT_TAG, MANAGED_TAG
from spotguard.planning.emergency import SHOWS_WITHIN
from spotguard.ports.cloud import (
    Cloud,
    ImageView,
    SnapshotView,
    StorageRates,
    StorageView,
    VolumeState,
    VolumeView,
)
from spotguard.store import images, storage

RATES_FOR = timedelta(days=1)


class ObserveStorage:
    """As with instances; runs on its own beat, and in every pass in which something moves."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._turns: Turns[ClientId] = Turns(ctx)
        self._written: dict[str, object] = {}
        self._absent_since: dict[str, datetime] = {}
        self._beat = Beat(ctx.settings.storage_seconds)
        self._forget = Beat(FORGET_SECONDS)
        self._rates: dict[int, tuple[datetime, StorageRates]] = {}

    def run(self, now: datetime, clients: Iterable[ClientId], agenda: Agenda, *, busy: bool) -> int:
        """Everybody's, and where somebody moves or has ended in any case; the others when their turn comes."""
        due = self._beat.is_due(now) or busy
        if not (due or self._turns.left):
            return 0
        asked = clients if due else self._turns.left
        return self.look(
            now, self._turns.of(asked, lambda: self.ctx.db.read(lambda tx: clients_at_work(tx, agenda)))
        )

    def look(self, now: datetime, clients: Iterable[ClientId]) -> int:
        """At once at all of theirs."""
        if self._forget.is_due(now):
            self._written.clear()
        known = self.ctx.db.read(storage.alive)
        return self.ctx.each("observe storage", clients, lambda client: self._look(now, client, known))

    def _look(self, now: datetime, client_id: ClientId, known: list[Row]) -> bool:
        """Each kind by itself: what EC2 does not tell of one keeps nobody from hearing of the others."""
        cloud = self.ctx.clouds(client_id)
        if cloud is None:
            return False
        rates = self._rates_of(cloud)
        looks = [_Look(kind, cloud, client_id, self._tags(client_id), rates) for kind in _SHOW]
        mine = [row for row in known if row.client_id == client_id]
        changed = self.ctx.each(
            "observe storage",
            looks,
            lambda look: self._look_at(now, look, [row for row in mine if row.kind == look.kind]),
        )
        return bool(changed)

    def _tags(self, client_id: ClientId) -> dict[str, str]:
        return {MANAGED_TAG: self.ctx.settings.installation, CLIENT_TAG: client_id}

    def _rates_of(self, cloud: Cloud) -> StorageRates | None:
        """Once a day; while the price list does not answer the former ones, or none yet."""
        at, rates = self._rates.get(id(cloud), (None, None))
        now = self.ctx.clock.now()
        if at is None or now - at >= RATES_FOR:
            told = rates_if_told(cloud)
            if told is None:
                return rates
            rates = told
            self._rates[id(cloud)] = now, rates
        return rates

    def _look_at(self, now: datetime, look: _Look, mine: list[Row]) -> bool:
        shown = _SHOW[look.kind](look, mine)
        rows = {row.id: row for row in mine}
        fresh = {key: view for key, view in shown.items() if self._is_fresh(view, key, rows.get(key))}
        gone = self._gone(now, mine, shown)
        if fresh or gone:
            self.ctx.db.write(lambda tx: _write(tx, look, fresh, gone))
            self._written.update(fresh)
            self._forget_owners_of(fresh)
        return bool(fresh or gone)

    def _is_fresh(self, view: StorageView, resource_id: str, alive: Row | None) -> bool:
        """As of instances: not what was written last, or what was and an older look has been written over it."""
        is_lost = alive is not None and not storage.says(alive, view)
        return is_lost or self._written.get(resource_id) != view

    def _forget_owners_of(self, fresh: dict[str, Any]) -> None:
        """An image tells its snapshots whose they are, and EC2 may show one of them later than the image."""
        views = [view for view in self._written.values() if isinstance(view, ImageView)]
        for view in views:
            if not fresh.keys().isdisjoint(view.snapshots.values()):
                del self._written[view.image_id]

    def _gone(self, now: datetime, mine: list[Row], shown: dict[str, Any]) -> dict[str, datetime]:
        """What was absent for minutes has been deleted when that began: before it may be eventual consistency."""
        for row in mine:
            if row.id in shown:
                self._absent_since.pop(row.id, None)
        absent = [row.id for row in mine if row.id not in shown]
        since = {resource_id: self._absent_since.setdefault(resource_id, now) for resource_id in absent}
        return {resource_id: at for resource_id, at in since.items() if now - at >= SHOWS_WITHIN}


@dataclass(frozen=True)
class _Look:
    """One kind of storage of one client."""

    kind: str
    cloud: Cloud
    client_id: ClientId
    tags: dict[str, str]
    rates: StorageRates | None

    @property
    def id(self) -> str:
        return f"{self.kind}s of {self.client_id}"


def _volumes(look: _Look, mine: list[Row]) -> dict[str, Any]:
    """By tag; by id those that came with their owner, and what has lost its tags: perhaps the newest state."""
    shown = list(look.cloud.describe_volumes(tags=look.tags))
    tagged = {view.volume_id for view in shown}
    others = [VolumeId(row.id) for row in mine if row.id not in tagged]
    shown += look.cloud.describe_volumes(others) if others else ()
    return {view.volume_id: view for view in shown if view.state is not VolumeState.DELETING}


def _snapshots(look: _Look, mine: list[Row]) -> dict[str, Any]:  # noqa: ARG001 - asked as the others are
    return {view.snapshot_id: view for view in look.cloud.describe_snapshots(tags=look.tags)}


def _images(look: _Look, mine: list[Row]) -> dict[str, Any]:  # noqa: ARG001 - asked as the others are
    return {view.image_id: view for view in look.cloud.describe_images(tags=look.tags)}


# a snapshot tells where the volumes that were made from it belong: it comes first
_SHOW: dict[str, Callable[[_Look, list[Row]], dict[str, Any]]] = {
    "snapshot": _snapshots,
    "image": _images,
    "volume": _volumes,
}


def _write(tx: sa.Connection, look: _Look, fresh: dict[str, object], gone: dict[str, datetime]) -> None:
    for resource_id, at in gone.items():  # first: no image lacks what is deleted
        storage.gone(tx, at, [resource_id])
    for view in fresh.values():
        if isinstance(view, VolumeView):
            storage.saw_volume(tx, look.client_id, view, look.rates)
        elif isinstance(view, SnapshotView):
            storage.saw_snapshot(tx, look.client_id, view, look.rates)
        elif isinstance(view, ImageView):
            storage.saw_image(tx, look.client_id, view)
            images.saw(tx, view)
