"""One long story on SQLite and on MariaDB: every statement of the coordinator speaks both."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from spotguard.compose import clock_of
from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus
from spotguard.host.clock import SharedClock
from spotguard.store import grants, ledger, openings, sightings
from spotguard.store.tables import instances, ledger_entries, replica_instances, storage_resources
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.strays import machine_of_an_unknown_launch
from tests.coordinator.test_another_boot import ready
from tests.coordinator.test_boot_races import meanwhile
from tests.coordinator.test_ledger import entries, recomputed


@pytest.mark.long
def test_moves_standbys_deaths_decisions_and_the_ledger(database):
    scene = Scene(db=database)
    agent = scene.protect(pool=A, terminate_wait_seconds=60, min_pool_hours=0)
    other = scene.protect("db", pool=B, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(500)
    standby = scene.live_replicas(other)[0]
    assert standby.status == ReplicaStatus.READY
    scene.promote(other, standby.id)
    scene.run(300, until=lambda: scene.serving(other) == standby.instance_id)
    old = scene.serving(agent)
    scene.ec2.controls.signal_rebalance(old)
    scene.run(200)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(900, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    scene.config(other, manual_replica_enabled=False)
    scene.run(900)
    assert scene.breaches() == []
    assert not scene.live_replicas(other)
    assert {row.status for row in scene.rows(replica_instances)} <= {
        "promoted",
        "terminated",
        "failed",
        "ready",
    }
    assert scene.rows(storage_resources, storage_resources.c.ended_at.is_not(None))
    scene.coordinator.settle(scene.now)
    made = [asdict(e) for e in scene.db.read(lambda tx: ledger.recompute(tx, scene.now))]
    stored = {(r.resource_id, r.kind, r.from_at): r.usd for r in scene.rows(ledger_entries)}
    assert stored == {(e["resource_id"], e["kind"], e["from_at"]): e["usd"] for e in made}


def test_an_end_that_becomes_known_while_the_ledger_is_settled_ends_what_it_bills(mariadb_database):
    """Another coordinator writes it down between what this one has read and what it writes."""
    scene = Scene(db=mariadb_database)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(600)
    scene.ec2.controls.fail_instance(scene.serving(agent))
    shown, end = scene.ec2.describe_instances([scene.serving(agent)]), scene.now
    scene.clock.time += timedelta(seconds=40)
    engine, meanwhile = mariadb_database.engine, iter([1])

    @sa.event.listens_for(engine, "before_cursor_execute")
    def look(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO ledger_entries") and next(meanwhile, None):
            scene.db.write(lambda tx: sightings.saw(tx, scene.now, scene.client_id, shown))

    scene.coordinator.ledger.settle(scene.now)
    assert scene.coordinator.ledger.is_due(scene.now), "it is settled in the next pass"
    scene.coordinator.ledger.settle(scene.now)
    sa.event.remove(engine, "before_cursor_execute", look)
    made = [asdict(e) for e in scene.db.read(lambda tx: ledger.recompute(tx, scene.now))]
    stored = {(r.resource_id, r.kind, r.from_at): r.usd for r in scene.rows(ledger_entries)}
    assert stored == {(e["resource_id"], e["kind"], e["from_at"]): e["usd"] for e in made}
    assert max(r.to_at for r in scene.rows(ledger_entries, ledger_entries.c.kind == "compute")) <= end


@pytest.mark.parametrize("is_settled", [False, True])
def test_an_opening_told_while_the_ledger_is_settled_counts_although_the_heir_has_ended(
    mariadb_database, is_settled
):
    """No later settlement looks at what has ended: this one marks it neither as it metered it nor unmetered."""
    scene = Scene(executor=Executor.SERVER, db=mariadb_database)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(600, until=lambda: ready(scene, agent) is not None)
    scene.run(240)
    scene.promote(agent, ready(scene, agent).id)
    old = scene.serving(agent)
    scene.run(300, until=lambda: scene.serving(agent) != old)
    held = scene.db.read(lambda tx: grants.holder(tx, agent))
    scene.ec2.controls.fail_instance(held.instance_id)
    scene.run(600 if is_settled else 300)
    heir = scene.row(instances, instances.c.id == held.instance_id)
    assert (heir.ended_at is not None, heir.metered_until is not None) == (True, is_settled)
    ticket = SimpleNamespace(agent_id=agent, epoch=held.epoch, to_instance_id=heir.id)
    opened_at = held.granted_at - timedelta(minutes=3)
    done = meanwhile(
        mariadb_database.engine,
        "INSERT INTO ledger_entries",
        agent,
        lambda: scene.db.write(lambda tx: openings.told(tx, scene.now, ticket, opened_at)),
    )
    scene.coordinator.ledger.settle(scene.now)
    done()
    scene.coordinator.ledger.settle(scene.now)
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]
    assert scene.rows(ledger_entries, ledger_entries.c.from_at == opened_at)


def test_servers_go_by_the_time_of_a_database_that_they_share(database):
    clock = clock_of(database)
    assert isinstance(clock, SharedClock) == (database.engine.dialect.name != "sqlite")
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_machine_that_two_coordinators_see_for_the_first_time_at_once_is_written_down_once(
    mariadb_database,
):
    """The second one's other machines are not lost with it."""
    scene = Scene(db=mariadb_database)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(30)
    made = machine_of_an_unknown_launch(scene, agent)
    scene.ec2.controls.fail_instance(scene.serving(agent))
    scene.clock.time += timedelta(seconds=60)
    new, old = scene.ec2.describe_instances([made]), scene.ec2.describe_instances([scene.serving(agent)])
    engine, meanwhile = mariadb_database.engine, iter([1])

    @sa.event.listens_for(engine, "before_cursor_execute")
    def look(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO instances") and next(meanwhile, None):
            scene.db.write(lambda tx: sightings.saw(tx, scene.now, scene.client_id, new))

    scene.db.write(lambda tx: sightings.saw(tx, scene.now, scene.client_id, (*new, *old)))
    sa.event.remove(engine, "before_cursor_execute", look)
    assert {row.id: row.ec2_state for row in scene.rows(instances)} == {
        view.instance_id: view.state for view in (*new, *old)
    }
