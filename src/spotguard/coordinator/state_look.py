"""A fresh look at what is left of an agent's state: no recovery rests on rows that nobody has compared with EC2."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.coordinator.context import Context, Row, log
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import AgentId, ClientId
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.ports.cloud import Cloud, SnapshotView, VolumeState, VolumeView
from spotguard.store import grants, sightings, storage


def refresh(ctx: Context, cloud: Cloud, agent: Row) -> bool:
    """Write down what EC2 shows this moment of the agent's volumes; False when it does not tell."""
    try:
        volumes = _volumes(ctx, cloud, agent)
    except CloudError as error:
        log.warning("EC2 does not tell which volumes are left", agent=agent.id, code=error.code)
        return False
    copied = _copied_from(ctx, cloud, volumes)
    ctx.db.write(lambda tx: _write(tx, agent, volumes, copied))
    return True


def _volumes(ctx: Context, cloud: Cloud, agent: Row) -> list[VolumeView]:
    """By the tags that we set, by the one that its owner set, and by id those that we know."""
    ours = {MANAGED_TAG: ctx.settings.installation, CLIENT_TAG: agent.client_id, AGENT_TAG: agent.id}
    shown = [*cloud.describe_volumes(tags=ours), *cloud.describe_volumes(tags={ADOPTED_TAG: agent.id})]
    seen = {view.volume_id for view in shown}
    rows = ctx.db.read(lambda tx: storage.volumes_of_agent(tx, agent.id))
    others = [volume_id for volume_id in rows if volume_id not in seen]
    shown += cloud.describe_volumes(others) if others else ()
    return [view for view in shown if view.state is not VolumeState.DELETING]


def _copied_from(ctx: Context, cloud: Cloud, volumes: list[VolumeView]) -> tuple[SnapshotView, ...]:
    """A free volume does not tell its device; the snapshot of which it was made tells whose copy it is."""
    named = ctx.db.read(lambda tx: storage.with_device(tx, [view.volume_id for view in volumes]))
    wanted = [
        view.snapshot_id
        for view in volumes
        if view.attached_to is None and view.snapshot_id is not None and view.volume_id not in named
    ]
    try:
        return cloud.describe_snapshots(wanted) if wanted else ()
    except (
        CloudError
    ) as error:  # a volume without a device is a stray: nothing older is taken while there is one
        log.warning("EC2 does not tell whose copies the volumes are", code=error.code)
        return ()


def _write(
    tx: sa.Connection, agent: Row, volumes: list[VolumeView], copied: tuple[SnapshotView, ...]
) -> None:
    client_id = ClientId(agent.client_id)
    for snapshot in copied:
        storage.saw_snapshot(tx, client_id, snapshot, None)
    held = grants.holder(tx, AgentId(agent.id))
    holder = None if held is None else sightings.get(tx, held.instance_id)
    for view in volumes:
        adopted = view.tags.get(ADOPTED_TAG) == agent.id
        storage.saw_volume(tx, client_id, view, None, owner=holder if adopted else None)
