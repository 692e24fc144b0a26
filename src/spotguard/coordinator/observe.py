"""Look at EC2's instances, once per client and pass; write what has changed (rulings B4, B9)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.rates import rates_if_told
from spotguard.domain.errors import CloudError, NeedsPerson
from spotguard.domain.ids import AgentId, ClientId, InstanceId, VolumeId
from spotguard.domain.instances import InstanceState
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.ports.cloud import Cloud, InstanceView, VolumeView
from spotguard.ports.intentions import TOKEN_TAG
from spotguard.store import events, fleet, sightings, storage
from spotguard.store.set_apart import is_set_apart

VANISHED_LOOKS = 3
VANISHED_SPAN = timedelta(minutes=5)
VANISHED_AGE = timedelta(hours=1)
LOOK_FOR_ABSENT_EVERY = timedelta(seconds=60)
FORGET_SECONDS = 3600.0  # what was written is compared anew, in case somebody else changed the rows


class Observe:
    """Rows follow EC2. What was last written is remembered, so that an unchanged world costs no write."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._written: dict[str, tuple[InstanceView, str | None]] = {}  # and the boot that had registered
        self._missed_at: dict[str, datetime] = {}
        self._missed_since: dict[str, datetime] = {}
        self._forget = Beat(FORGET_SECONDS)

    def run(self, now: datetime, clients: Iterable[ClientId], known: list[Row]) -> int:
        """`known`: the machines whose end the rows do not show."""
        if self._forget.is_due(now):
            self._written.clear()
        return self.ctx.each("observe", clients, lambda client: self._look(now, client, known))

    def _look(self, now: datetime, client_id: ClientId, known: list[Row]) -> bool:
        cloud = self.ctx.clouds(client_id)
        if cloud is None:
            return False
        mine = [row for row in known if row.client_id == client_id]
        try:
            shown = self._describe(cloud, client_id, mine)
        except NeedsPerson as error:
            self._tell_of_blindness(now, client_id, error)
            raise
        rows = {row.id: row for row in mine}
        boots = {row.id: row.boot_id for row in mine}
        fresh = [view for view in shown if self._is_fresh(view, rows.get(view.instance_id))]
        if fresh:
            self.ctx.db.write(lambda tx: sightings.saw(tx, now, client_id, fresh, boots))
        unsafe = [view for view in shown if view in fresh or _dies_with_it(view)]
        self.ctx.each(
            "keep volumes",
            unsafe,
            lambda view: self._look_after_volumes(
                cloud, client_id, view, boots.get(view.instance_id), is_new=view in fresh
            ),
        )
        ids = {view.instance_id for view in shown}
        for row in mine:
            if row.id not in ids:
                self._absent(now, cloud, row)
        return bool(fresh)

    def _tell_of_blindness(self, now: datetime, client_id: ClientId, error: NeedsPerson) -> None:
        """Nothing else tells it while all goes well: it would come out in the first emergency."""
        if not self.ctx.news(client_id, f"blind: {error.code}", now):
            return
        message = (
            f"EC2 cannot be asked in this account, a person must act: {error}. Until then no death is seen, and "
            "nothing is launched: spotguard doctor tells what is missing"
        )
        detail = {"code": error.code}
        self.ctx.db.write(lambda tx: events.append(tx, now, client_id, None, "needs_person", message, detail))

    def _is_fresh(self, view: InstanceView, alive: Row | None) -> bool:
        """Not what was written last; or what was, and that the rows have lost: another coordinator was held up between
        its older look and writing it down. Not a stop since which it has registered: EC2 shows that start late.
        """
        written, boot_id = self._written.get(view.instance_id, (None, None))
        if written != view:
            return True
        match view.state:
            case _ if alive is None:
                return False
            case InstanceState.TERMINATED:
                return True
            case InstanceState.STOPPED if alive.boot_id != boot_id:
                return False
            case state:
                return bool(alive.ec2_state != state)

    def _describe(self, cloud: Cloud, client_id: ClientId, mine: list[Row]) -> tuple[InstanceView, ...]:
        """By tag, and by id those that came with their owner."""
        tags = {MANAGED_TAG: self.ctx.settings.installation, CLIENT_TAG: client_id}
        shown = cloud.describe_instances(tags=tags)
        tagged = {view.instance_id for view in shown}
        others = [InstanceId(row.id) for row in mine if row.id not in tagged]
        return shown + cloud.describe_instances(others) if others else shown

    def _look_after_volumes(
        self, cloud: Cloud, client_id: ClientId, view: InstanceView, boot_id: str | None, *, is_new: bool
    ) -> None:
        """The view counts as written when all of it is: whatever fails here is done in the next look."""
        self._write_volumes(cloud, client_id, view)
        self._keep_volumes(cloud, client_id, view, is_new=is_new)
        self._written[view.instance_id] = view, boot_id

    def _write_volumes(self, cloud: Cloud, client_id: ClientId, view: InstanceView) -> None:
        """Whose a volume is EC2 tells only while it is attached: written down as soon as an instance shows it."""
        ids = [volume.volume_id for volume in view.volumes]
        unknown = self.ctx.db.read(lambda tx: storage.unknown_of(tx, ids))
        if not unknown or TOKEN_TAG not in view.tags:
            return
        shown = cloud.describe_volumes(unknown)
        self.ctx.db.write(lambda tx: _saw_volumes(tx, client_id, shown, view.instance_id))

    def _keep_volumes(self, cloud: Cloud, client_id: ClientId, view: InstanceView, *, is_new: bool) -> None:
        """Every volume of an instance that may serve outlives it. What its owner had wished is written down first.

        Asked again in every look until EC2 shows it (E15): the call may have been lost, or a volume have come later.
        """
        ephemeral = _dies_with_it(view)
        owned = TOKEN_TAG not in view.tags
        if view.state is not InstanceState.RUNNING or not (ephemeral or owned):
            return
        row = self.ctx.db.read(lambda tx: _row(tx, view.instance_id))
        if row is None or row.agent_id is None or is_set_apart(row):
            return  # what such a one has may go with it
        enabled = self.ctx.db.read(lambda tx: fleet.agent_row(tx, row.agent_id)).enabled
        if not (enabled or is_new):
            return  # hands off: what its owner had wished is known, and stays so
        if owned:
            volumes = cloud.describe_volumes([volume.volume_id for volume in view.volumes])
            rates = rates_if_told(cloud)
            ours = row
            self.ctx.db.write(
                lambda tx: storage.saw_owned_volumes(tx, client_id, volumes, rates, ours, ephemeral)
            )
        if ephemeral and enabled:
            self._keep(cloud, row, ephemeral)

    def _keep(self, cloud: Cloud, machine: Row, ephemeral: set[VolumeId]) -> None:
        """Who may not ask for it has to know: until then what lies on them ends with their instance."""
        try:
            cloud.keep_volumes(InstanceId(machine.id))
        except NeedsPerson as error:
            now, code = self.ctx.clock.now(), error.code
            if self.ctx.news(machine.id, code, now):
                self.ctx.db.write(lambda tx: _tell_unkept(tx, now, machine, ephemeral, code))
            raise

    def _absent(self, now: datetime, cloud: Cloud, row: Row) -> None:
        """Absent in three looks over five minutes, of one that had been running and is over an hour old: terminated.

        Five minutes by the rows and by this process: another coordinator's clock may have made the rows' times.
        """
        last = self._missed_at.get(row.id)
        if last is not None and now - last < LOOK_FOR_ABSENT_EVERY:
            return
        self._missed_at[row.id] = now
        was_running = row.ec2_state is not None and row.ec2_state != InstanceState.PENDING
        is_old = row.launched_at is not None and now - row.launched_at > VANISHED_AGE
        if not (was_running and is_old):
            return
        if not sightings.is_missed(row):
            self._missed_since.pop(row.id, None)
        since = max(row.absent_since or now, self._missed_since.setdefault(row.id, now))
        long_absent = sightings.is_missed(row) and now - since >= VANISHED_SPAN
        enough = long_absent and row.absent_looks >= VANISHED_LOOKS
        if enough and self._account_answers(cloud, ClientId(row.client_id)):
            self.ctx.db.write(lambda tx: _vanish(tx, now, row))
            self._written.pop(row.id, None)
        else:
            self.ctx.db.write(lambda tx: sightings.missed(tx, now, row))

    def _account_answers(self, cloud: Cloud, client_id: ClientId) -> bool:
        """This is the account and region that we know: it still shows something that we know of this client."""
        tags = {MANAGED_TAG: self.ctx.settings.installation, CLIENT_TAG: client_id}
        known = self.ctx.db.read(lambda tx: storage.volume_ids_of(tx, client_id))
        try:
            shown = cloud.describe_instances(tags=tags) or (cloud.describe_volumes(known) if known else ())
        except CloudError:
            return False
        return bool(shown)


def _dies_with_it(view: InstanceView) -> set[VolumeId]:
    return {volume.volume_id for volume in view.volumes if volume.delete_on_termination}


def _saw_volumes(
    tx: sa.Connection, client_id: ClientId, shown: Iterable[VolumeView], instance_id: InstanceId
) -> None:
    """Those without our tags have come with its user, who attached them to a machine of ours: as much state as ours."""
    machine = _row(tx, instance_id)
    has_state = machine is not None and machine.agent_id is not None and not is_set_apart(machine)
    for volume in shown:
        owner = machine if has_state and AGENT_TAG not in volume.tags else None
        storage.saw_volume(tx, client_id, volume, None, owner=owner)


def _row(tx: sa.Connection, instance_id: InstanceId) -> Row | None:
    return sightings.get(tx, instance_id)


def _tell_unkept(tx: sa.Connection, now: datetime, machine: Row, ephemeral: set[VolumeId], code: str) -> None:
    message = (
        f"EC2 refuses to keep {', '.join(sorted(ephemeral))} when {machine.id} ends ({code}): what lies there would go "
        f"with it. Tag the instance and its volumes with {ADOPTED_TAG}={machine.agent_id}, or set their "
        "DeleteOnTermination to false yourself"
    )
    detail = {"instance_id": machine.id, "volume_ids": sorted(ephemeral), "code": code}
    events.append(tx, now, machine.client_id, AgentId(machine.agent_id), "needs_person", message, detail)


def _vanish(tx: sa.Connection, now: datetime, row: Row) -> None:
    if sightings.vanished(tx, now, row) and row.agent_id is not None:
        message = f"{row.id} is not shown by EC2 since {row.absent_since:%H:%M} UTC: it counts as terminated"
        events.append(tx, now, row.client_id, AgentId(row.agent_id), "instance_vanished", message)
