"""What a launch is told: the installation's tags, the devices, and the user data with which its agent enrols."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId, DrillId, InstanceId, ProbeId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind
from spotguard.domain.tags import (
    AGENT_TAG,
    CLIENT_TAG,
    DRILL_TAG,
    MANAGED_TAG,
    PROBE_TAG,
    PURPOSE_TAG,
    REPLICA_TAG,
    SWITCH_TAG,
)
from spotguard.planning.standby import Place
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice
from spotguard.store import enrolment, storage
from spotguard.store.tables import agents, installations
from spotguard.store.upserts import insert_or_update

ENROL_WITHIN_SECONDS = 7200  # an image that takes an hour comes before its instance


@dataclass(frozen=True)
class Installation:
    """Which SpotGuard this is (its tag on everything), and where its agents find it."""

    name: str = "spotguard"
    public_url: str = "http://127.0.0.1:8000"


def introduce(tx: sa.Connection, now: datetime, installation: Installation) -> None:
    """Tell every process of this installation who it is. Said again, nothing changes."""
    if installation_of(tx) != installation:
        row = {"id": 1, "name": installation.name, "public_url": installation.public_url, "updated_at": now}
        insert_or_update(tx, installations, [row], ("name", "public_url", "updated_at"))


def installation_of(tx: sa.Connection) -> Installation:
    row = tx.execute(sa.select(installations.c.name, installations.c.public_url)).one_or_none()
    return Installation() if row is None else Installation(row.name, row.public_url)


def public_url_of(tx: sa.Connection) -> str | None:
    """Where its servers say that agents find it; None: no server has introduced itself yet."""
    return tx.execute(sa.select(installations.c.public_url)).scalar_one_or_none()


def tags_of(
    tx: sa.Connection,
    client_id: ClientId,
    agent_id: AgentId,
    purpose: str,
    *,
    switch_id: SwitchId | None = None,
    replica_id: ReplicaId | None = None,
    drill_id: DrillId | None = None,
    probe_id: ProbeId | None = None,
) -> dict[str, str]:
    """Tags of everything that is made, set in the same call (invariant 6)."""
    tags = {
        MANAGED_TAG: installation_of(tx).name,
        CLIENT_TAG: client_id,
        AGENT_TAG: agent_id,
        PURPOSE_TAG: purpose,
    }
    if switch_id is not None:
        tags[SWITCH_TAG] = switch_id
    if replica_id is not None:
        tags[REPLICA_TAG] = replica_id
    if drill_id is not None:
        tags[DRILL_TAG] = drill_id
    if probe_id is not None:
        tags[PROBE_TAG] = probe_id
    return tags


def user_data_of(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    *,
    switch_id: SwitchId | None = None,
    replica_id: ReplicaId | None = None,
    drill_id: DrillId | None = None,
) -> str:
    """A single-use credential that can do nothing but register this one instance; a clone in quarantine reads that
    it is one.
    """
    name = tx.execute(sa.select(agents.c.logical_agent_id).where(agents.c.id == agent_id)).scalar_one()
    token = enrolment.mint(
        tx,
        now,
        client_id=client_id,
        agent_id=agent_id,
        switch_id=switch_id,
        replica_id=replica_id,
        drill_id=drill_id,
        valid_seconds=ENROL_WITHIN_SECONDS,
    )
    server = installation_of(tx).public_url
    told = {"server_url": server, "logical_agent_id": name, "enrolment_token": token}
    if drill_id is not None:
        told["drill_id"] = drill_id
    return json.dumps({"spotguard": told})


def devices_of(
    tx: sa.Connection, old_instance_id: InstanceId | None, kind: MoveKind
) -> tuple[BlockDevice, ...]:
    """A synced target gets an empty state volume of the old one's size; where volumes themselves come, their devices
    stay free, whatever the image would bring to them.

    An image brings its own. Without a known state volume the image's devices are taken as they are.
    """
    if kind is MoveKind.IMAGE or old_instance_id is None:
        return ()
    if kind in (MoveKind.VOLUME, MoveKind.SNAPSHOT):
        coming = {volume.device for volume in storage.data_volumes_of(tx, old_instance_id)}
        return tuple(BlockDevice(device, no_device=True) for device in sorted(coming | {STATE_DEVICE}))
    volume = storage.state_volume_of(tx, old_instance_id)
    return () if volume is None else (BlockDevice(STATE_DEVICE, size_gib=volume.size_gib),)


def payload_of(  # noqa: PLR0913 - all that a launch needs
    tx: sa.Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    pool: Pool,
    mode: Mode,
    image_id: str,
    purpose: str,
    devices: tuple[BlockDevice, ...],
    places: Sequence[Place] = (),
    at_once: bool = False,
    switch_id: SwitchId | None = None,
    replica_id: ReplicaId | None = None,
) -> dict[str, Any]:
    """`launch` of a command's payload, for an agent that launches by itself.

    `places`: where it may be tried, in order; none: in `pool` alone.
    """
    ids = {"switch_id": switch_id, "replica_id": replica_id}
    return {
        "pool_id": pool.id,
        "mode": mode.value,
        "image_id": image_id,
        "tags": tags_of(tx, client_id, agent_id, purpose, **ids),  # type: ignore[arg-type]
        "user_data": user_data_of(tx, now, client_id, agent_id, **ids),  # type: ignore[arg-type]
        "block_devices": [
            {
                "device": device.device,
                "size_gib": device.size_gib,
                "snapshot_id": device.snapshot_id,
                "delete_on_termination": device.delete_on_termination,
                "no_device": device.no_device,
            }
            for device in devices
        ],
        "candidates": [{"pool_id": place.pool.id, "mode": place.mode.value} for place in places],
        "at_once": at_once,
        "token_seed": replica_id or switch_id,
    }
