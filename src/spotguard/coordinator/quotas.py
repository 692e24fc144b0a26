"""vCPU quotas of each client's account: looked at now and then, so that a move is refused before it has begun (E8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from spotguard.coordinator.context import Beat, Context
from spotguard.coordinator.turns import Turns
from spotguard.domain.ids import ClientId
from spotguard.store import fleet, quotas


class Quotas:
    """On a slow beat. Where it is not permitted, or EC2 does not answer, they stay unknown, which hinders nothing."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.quota_seconds)
        self._turns: Turns[ClientId] = Turns(ctx)

    def run(self, now: datetime, clients: Iterable[ClientId], *, force: bool = False) -> int:
        """Due on its beat, and at once when agents have come."""
        asked = clients if self._beat.is_due(now) or force else self._turns.left
        self.ctx.each("quotas", self._turns.of(asked), lambda client: self._look(now, client))
        return 0  # nothing that another duty waits for

    def _look(self, now: datetime, client_id: ClientId) -> None:
        cloud = self.ctx.clouds(client_id)
        types = self.ctx.db.read(lambda tx: fleet.types_of(tx, client_id))
        if cloud is None or not types:
            return
        told = cloud.vcpu_quotas(types)
        self.ctx.db.write(lambda tx: quotas.record(tx, now, client_id, told))
