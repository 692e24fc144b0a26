"""Tags are set by whoever may tag a machine: what they name counts where it is the same agent's."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import ClientId, ImageId, InstanceId, VolumeId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.switches import Step
from spotguard.domain.tags import AGENT_TAG, DRILL_TAG, PROBE_TAG, REPLICA_TAG, SWITCH_TAG
from spotguard.ports.cloud import InstanceView, Tags, VolumeState, VolumeView
from spotguard.store import moves, sightings, storage
from spotguard.store import tables as t
from spotguard.store.database import Database
from tests.store.rows import NEW, NOW, POOL_A, add, agent, client, pools, replica, switch, with_agent

NAMED = {"switch_id": "switch-1", "replica_id": "replica-1", "drill_id": "drill-1", "probe_id": "probe-1"}
MACHINE = InstanceId("i-0fedcba9876543210")


def tags_of(agent_id: str) -> Tags:
    ids = zip((SWITCH_TAG, REPLICA_TAG, DRILL_TAG, PROBE_TAG), NAMED.values(), strict=True)
    return {AGENT_TAG: agent_id, **dict(ids)}


@pytest.fixture
def victim(database: Database) -> ClientId:
    """`agent-1`, with a move to its standby, which has not enrolled; a drill, and a probe."""
    client_id = with_agent(database)
    pools(database)
    add(database, t.replica_instances, **replica(instance_id=NEW, status="syncing"))
    add(database, t.switches, **switch(client_id, replica_id="replica-1", status="preparing"))
    whose = {"client_id": client_id, "agent_id": "agent-1", "created_at": NOW, "deadline_at": NOW}
    add(database, t.drills, id="drill-1", kind="restore", status="running", created_by="user", **whose)
    paid = {"usd_per_hour": 1, "usd": 1, "worth_usd": 1, "because": "", "image_id": "ami-1"}
    add(database, t.probes, id="probe-1", pool_id=POOL_A, status="waiting", **whose, **paid)
    return client_id


def see(database: Database, client_id: ClientId, tags: Tags) -> None:
    machine = InstanceView(
        MACHINE,
        InstanceState.RUNNING,
        parse_pool_id(POOL_A),
        Mode.SPOT,
        ImageId("ami-1"),
        NOW,
        "10.0.0.9",
        tags,
    )
    volume = VolumeView(
        VolumeId("vol-1"), VolumeState.IN_USE, "ap-south-1a", 8, NOW, tags, MACHINE, "/dev/sdf"
    )

    def work(tx: sa.Connection) -> None:
        sightings.saw(tx, NOW, client_id, [machine])
        storage.saw_volume(tx, client_id, volume, None)

    database.write(work)


def row(database: Database, table: sa.Table, row_id: str) -> sa.Row:
    return database.read(lambda tx: tx.execute(sa.select(table).where(table.c.id == row_id)).one())


def test_ones_own_is_believed(database: Database, victim: ClientId):
    see(database, victim, tags_of("agent-1"))
    machine = row(database, t.instances, MACHINE)
    assert {name: getattr(machine, name) for name in NAMED} == NAMED
    assert row(database, t.storage_resources, "vol-1").switch_id == "switch-1"


@pytest.mark.parametrize("whose", ["another tenant's", "another agent's"])
def test_a_machine_that_names_anothers_is_part_of_nothing(database: Database, victim: ClientId, whose: str):
    client_id = client(database, "Mallory") if whose == "another tenant's" else victim
    add(database, t.agents, **agent(client_id, id="agent-2", logical_agent_id="thief"))
    see(database, client_id, tags_of("agent-2"))
    machine = row(database, t.instances, MACHINE)
    assert {name: getattr(machine, name) for name in NAMED} == dict.fromkeys(NAMED)
    assert row(database, t.storage_resources, "vol-1").switch_id is None
    assert not database.write(lambda tx: moves.enrolled(tx, NOW, MACHINE))
    steps = database.read(lambda tx: tx.execute(sa.select(t.switch_steps.c.step)).scalars().all())
    assert Step.ENROLLED not in steps, "its standby cannot hear yet that it is granted an epoch"
