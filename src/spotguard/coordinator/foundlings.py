"""Look at everything with this installation's tag: what names no agent of ours is told (invariant 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from spotguard.coordinator.context import Beat, Context, Row, log
from spotguard.coordinator.foundling_costs import FoundlingCosts
from spotguard.coordinator.turns import Turns
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import InstanceState
from spotguard.domain.tags import AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.ports.cloud import Caller, Cloud, Tags, VolumeState
from spotguard.store import foundlings
from spotguard.store.foundlings import Tagged

_ENDING = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


@dataclass(frozen=True)
class _Account:
    """One account and region, and the clients whose it is."""

    id: Caller
    cloud: Cloud
    clients: tuple[ClientId, ...]

    @property
    def name(self) -> str:
        return f"{self.id.account_id} {self.id.region}"

    def owner(self, tags: Tags) -> ClientId | None:
        """Who is named, or whose account it is; nobody where several share one: tenants are walls (invariant 15)."""
        named = next((client for client in self.clients if client == tags.get(CLIENT_TAG)), None)
        return self.clients[0] if named is None and len(self.clients) == 1 else named


class Foundlings:
    """On the beat of the clean-up, which never comes upon them: they have no rows but those that tell of them."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.orphans_seconds)
        self._turns: Turns[_Account] = Turns(ctx)
        self._costs = FoundlingCosts(ctx)

    def run(self, now: datetime, clients: Iterable[ClientId]) -> int:
        accounts = self._accounts(clients) if self._beat.is_due(now) else self._turns.left
        self.ctx.each("foundlings", self._turns.of(accounts), lambda account: self._look(now, account))
        return 0  # nothing that another duty waits for

    def look(self, now: datetime, clients: Iterable[ClientId]) -> int:
        """Everywhere, however long it takes."""
        self.ctx.each("foundlings", self._accounts(clients), lambda account: self._look(now, account))
        return 0  # nothing that another duty waits for

    def _accounts(self, clients: Iterable[ClientId]) -> list[_Account]:
        """Clients may have clouds of their own in one account: EC2 tells which it is."""
        clouds: dict[Caller, Cloud] = {}
        members: dict[Caller, list[ClientId]] = {}
        callers: dict[int, Caller] = {}
        for client_id in clients:
            cloud = self.ctx.clouds(client_id)
            if cloud is None:
                continue
            caller = callers.get(id(cloud)) or _caller(cloud)
            if caller is None:
                continue
            callers[id(cloud)] = caller
            clouds.setdefault(caller, cloud)
            members.setdefault(caller, []).append(client_id)
        return [_Account(caller, clouds[caller], tuple(who)) for caller, who in members.items()]

    def _look(self, now: datetime, account: _Account) -> None:
        shown = list(_tagged(account, {MANAGED_TAG: self.ctx.settings.installation}))
        nobodys = self._costs.priced(
            now, account.id, account.cloud, self.ctx.db.read(lambda tx: foundlings.of_nobody(tx, shown))
        )
        known = self.ctx.db.read(lambda tx: foundlings.known_of(tx, account.name))
        ids = {one.resource_id for one in nobodys}
        absent = [row for row in known if row.id not in ids]
        costs = {one.resource_id: one.usd_per_month for one in nobodys}
        fresh = ids - {row.id for row in known if _is_told(row, costs)}
        if fresh:
            told = self.ctx.db.write(lambda tx: foundlings.note(tx, now, nobodys))
            for one in told:
                log.warning("our tag, and no agent of ours", resource=one.resource_id, client=one.client_id)
        if absent:
            self.ctx.db.write(lambda tx: foundlings.missed(tx, now, absent))


def _is_told(row: Row, costs: Mapping[str, Decimal | None]) -> bool:
    """Nothing new is known of it."""
    return row.told_at is not None and row.missed_at is None and row.usd_per_month == costs.get(row.id)


def _caller(cloud: Cloud) -> Caller | None:
    try:
        return cloud.caller()
    except CloudError as error:
        log.warning("EC2 does not say which account this is", code=error.code)
        return None


def _tagged(account: _Account, tags: Mapping[str, str]) -> Iterator[Tagged]:
    """Everything with the tag that is not ending already."""
    cloud = account.cloud

    def one(resource_id: str, kind: str, found: Tags, made_at: datetime, **more: Any) -> Tagged:
        agent_tag = found.get(AGENT_TAG) or None
        return Tagged(resource_id, kind, account.name, account.owner(found), agent_tag, made_at, **more)

    for machine in cloud.describe_instances(tags=tags):
        if machine.state not in _ENDING:
            place = machine.pool, machine.mode
            yield one(machine.instance_id, "instance", machine.tags, machine.launched_at, place=place)
    for volume in cloud.describe_volumes(tags=tags):
        if volume.state is not VolumeState.DELETING:
            yield one(volume.volume_id, "volume", volume.tags, volume.created_at, gib=volume.size_gib)
    for snapshot in cloud.describe_snapshots(tags=tags):
        gib = snapshot.size_gib
        yield one(snapshot.snapshot_id, "snapshot", snapshot.tags, snapshot.started_at, gib=gib)
    for image in cloud.describe_images(tags=tags):
        yield one(image.image_id, "image", image.tags, image.created_at)
