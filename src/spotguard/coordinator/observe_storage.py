"""Look at the volumes, snapshots and images that carry our tags, and at the volumes that came with their owner."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.observe import FORGET_SECONDS
from spotguard.domain.ids import ClientId, VolumeId
from spotguard.domain.tags import CLIENT_TAG, MANAGED_TAG
from spotguard.ports.cloud import Cloud, ImageView, SnapshotView, StorageRates, VolumeState, VolumeView
from spotguard.store import storage

RATES_SECONDS = 86_400.0


class ObserveStorage:
    """As with instances; runs on its own beat, and in every pass in which something moves."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._written: dict[str, object] = {}
        self._absent: set[str] = set()
        self._beat = Beat(ctx.settings.storage_seconds)
        self._forget = Beat(FORGET_SECONDS)
        self._rates_beat = Beat(RATES_SECONDS)
        self._rates: dict[int, StorageRates] = {}

    def run(self, now: datetime, clients: Iterable[ClientId], *, busy: bool) -> int:
        if not self._beat.is_due(now) and not busy:
            return 0
        if self._forget.is_due(now):
            self._written.clear()
        if self._rates_beat.is_due(now):
            self._rates.clear()
        known = self.ctx.db.read(storage.alive)
        return self.ctx.each("observe storage", clients, lambda client: self._look(now, client, known))

    def _look(self, now: datetime, client_id: ClientId, known: list[Row]) -> bool:
        cloud = self.ctx.clouds(client_id)
        if cloud is None:
            return False
        mine = [row for row in known if row.client_id == client_id]
        rates = self._rates.get(id(cloud)) or self._rates.setdefault(id(cloud), cloud.storage_rates())
        shown = self._describe(cloud, client_id, mine)
        fresh = {key: view for key, view in shown.items() if self._written.get(key) != view}
        gone = self._gone(mine, shown)
        if fresh or gone:
            self.ctx.db.write(lambda tx: self._write(tx, now, client_id, fresh, gone, rates))
            self._written.update(fresh)
        return bool(fresh or gone)

    def _describe(self, cloud: Cloud, client_id: ClientId, mine: list[Row]) -> dict[str, Any]:
        tags = {MANAGED_TAG: self.ctx.settings.installation, CLIENT_TAG: client_id}
        shown: dict[str, Any] = {view.volume_id: view for view in cloud.describe_volumes(tags=tags)}
        owned = [VolumeId(row.id) for row in mine if not row.is_ours]
        shown |= {view.volume_id: view for view in cloud.describe_volumes(owned)} if owned else {}
        shown |= {view.snapshot_id: view for view in cloud.describe_snapshots(tags=tags)}
        shown |= {view.image_id: view for view in cloud.describe_images(tags=tags)}
        return {
            key: view
            for key, view in shown.items()
            if not (isinstance(view, VolumeView) and view.state is VolumeState.DELETING)
        }

    def _gone(self, mine: list[Row], shown: dict[str, Any]) -> list[str]:
        """What is absent in two looks in a row has been deleted; once may be EC2's eventual consistency."""
        absent = {row.id for row in mine if row.id not in shown}
        gone = sorted(absent & self._absent)
        self._absent = (self._absent - {row.id for row in mine}) | absent
        return gone

    def _write(
        self,
        tx: sa.Connection,
        now: datetime,
        client_id: ClientId,
        fresh: dict[str, object],
        gone: list[str],
        rates: StorageRates,
    ) -> None:
        for view in fresh.values():
            if isinstance(view, VolumeView):
                storage.saw_volume(tx, client_id, view, rates)
            elif isinstance(view, SnapshotView):
                storage.saw_snapshot(tx, client_id, view, rates)
            elif isinstance(view, ImageView):
                storage.saw_image(tx, client_id, view)
        storage.gone(tx, now, gone)
