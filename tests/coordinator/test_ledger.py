"""The ledger equals the meter of the simulated EC2, and a recomputation from events to the last digit."""

from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal

import pytest

from spotguard.domain.instances import Mode
from spotguard.planning.metering import EntryKind
from spotguard.store import deletions, ledger, prices, sightings, storage, views_savings
from spotguard.store.tables import instance_runs, ledger_entries, storage_resources
from tests.coordinator.scene import A, B, Scene


def settled(scene):
    scene.coordinator.settle(scene.now)
    totals = scene.db.read(lambda tx: ledger.totals(tx, scene.client_id))
    return totals, ledger.paid(totals)


def entries(scene):
    wanted = set(asdict(recomputed(scene)[0]))
    rows = [{k: v for k, v in row._mapping.items() if k in wanted} for row in scene.rows(ledger_entries)]
    return sorted(rows, key=lambda e: (e["resource_id"], e["kind"], e["from_at"]))


def recomputed(scene):
    made = scene.db.read(lambda tx: ledger.recompute(tx, scene.now))
    return sorted(made, key=lambda e: (e.resource_id, e.kind.value, e.from_at))


def busy(scene):
    """A day's worth of everything in a few hours."""
    agent = scene.protect(pool=A, terminate_wait_seconds=600)
    other = scene.protect("db", pool=B, mode=Mode.ONDEMAND, auto_switch_enabled=False)
    began = scene.now
    scene.run(1500)
    scene.switch(agent, B)
    scene.run(2400)
    scene.ec2.controls.signal_rebalance(scene.serving(agent))
    scene.run(1200)
    scene.ec2.controls.interrupt(scene.serving(agent))
    scene.run(1500)
    scene.config(other, manual_replica_enabled=True)
    scene.run(1500)
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(3333)
    return began


def test_what_was_settled_by_a_clock_that_was_ahead_is_taken_back():
    """One disk is deleted and one agent too before the time comes that was settled."""
    scene = Scene()
    agent, other = scene.protect(pool=A), scene.protect("db", pool=B)
    scene.run(1200)
    scene.db.write(lambda tx: ledger.settle(tx, scene.now + timedelta(hours=5)))
    primary = scene.serving(agent)
    disk = scene.db.read(lambda tx: storage.state_volume_of(tx, primary))
    scene.db.write(lambda tx: storage.gone(tx, scene.now, [disk.id]))
    scene.db.write(lambda tx: deletions.delete(tx, scene.now, scene.client_id, other))
    scene.db.write(lambda tx: ledger.settle(tx, scene.now))
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]
    assert max(row.to_at for row in scene.rows(ledger_entries)) == scene.now


def test_an_instance_that_vanished_is_billed_to_its_end_and_not_to_when_that_was_found_out():
    scene = Scene()
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.run(600)
    primary = scene.serving(agent)
    read = next(row for row in scene.db.read(sightings.active) if row.id == primary)
    scene.db.write(lambda tx: sightings.missed(tx, scene.now + timedelta(seconds=10), read))
    scene.db.write(lambda tx: ledger.settle(tx, scene.now + timedelta(minutes=5)))
    scene.clock.time += timedelta(minutes=6)
    read = next(row for row in scene.db.read(sightings.active) if row.id == primary)
    assert scene.db.write(lambda tx: sightings.vanished(tx, scene.now, read))
    scene.db.write(lambda tx: ledger.settle(tx, scene.now))
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]


def test_the_ledger_equals_the_meter():
    scene = Scene()
    began = busy(scene)
    totals, paid = settled(scene)
    meter = scene.ec2.meter_usd(scene.now) - before_enrolment(scene, began)
    assert abs(paid - meter) < Decimal("0.005"), (paid, meter, totals)
    assert totals[EntryKind.REPLICA] > 0
    assert totals[EntryKind.OVERLAP] > 0
    assert totals[EntryKind.ONDEMAND] > totals[EntryKind.COMPUTE]


def before_enrolment(scene, began):
    """The owner's servers ran for a minute or two before SpotGuard came."""
    return Decimal(0)


def test_settled_often_is_settled_once():
    """Every quarter of an hour or never before: the same entries, and those of a recomputation."""
    scene = Scene()
    busy(scene)
    settled(scene)
    settled(scene)
    from_events = [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]
    assert entries(scene) == from_events
    assert len(from_events) > 40


def test_an_hour_that_aws_cut_short_is_waived():
    scene = Scene()
    agent = scene.protect(pool=A)
    scene.run(300)
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(900)
    totals, _ = settled(scene)
    assert totals[EntryKind.WAIVED] < 0


def test_storage_is_metered_until_it_is_deleted():
    scene = Scene()
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    scene.switch(agent, B)
    scene.run(1200)
    settled(scene)
    ended = scene.rows(storage_resources, storage_resources.c.ended_at.is_not(None))
    assert ended
    for row in ended:
        mine = scene.rows(ledger_entries, ledger_entries.c.resource_id == row.id)
        assert max(e.to_at for e in mine) == row.ended_at


def stop_for_a_while(scene, agent, seconds=1200):
    """Somebody stops it and starts it again; its user wants no help."""
    scene.ec2.controls.stop(machine := scene.serving(agent))
    scene.run(seconds)
    scene.ec2.controls.start(machine)
    return machine


@pytest.mark.parametrize("seconds", [90, 1200, pytest.param(9000, marks=pytest.mark.long)])
def test_every_run_of_an_instance_is_metered(seconds):
    scene = Scene()
    agent = scene.protect(pool=B, mode=Mode.ONDEMAND, auto_switch_enabled=False, enabled=False)
    before = scene.ec2.meter_usd(scene.now)  # its owner's affair
    scene.run(2000)
    for _ in range(2):
        stop_for_a_while(scene, agent, seconds)
        scene.run(2500)
    _, paid = settled(scene)
    assert len(scene.rows(instance_runs)) == 2
    assert abs(before + paid - scene.ec2.meter_usd(scene.now)) < Decimal("0.0001")
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]


def test_a_stop_that_no_look_showed_is_over_at_the_next_start_at_the_latest():
    scene = Scene()
    agent = scene.protect(pool=B, mode=Mode.ONDEMAND, auto_switch_enabled=False, enabled=False)
    scene.run(2000)
    scene.next_pass += timedelta(hours=1)
    machine = stop_for_a_while(scene, agent, 120)
    scene.run(90)
    scene.next_pass = scene.now
    scene.run(600)
    settled(scene)
    meter = scene.ec2.meter_usd(scene.now)
    totals = scene.db.read(lambda tx: ledger.totals(tx, scene.client_id))
    assert scene.rows(instance_runs, instance_runs.c.instance_id == machine)
    assert meter < ledger.paid(totals) < meter + Decimal("0.01")


def test_hours_without_a_known_price_are_billed_when_it_is_known():
    scene = Scene(has_cloud=False)
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    machine = scene.serving(agent)
    scene.run(4 * 3600)
    settled(scene)
    unpriced = scene.rows(ledger_entries, ledger_entries.c.resource_id == machine)
    assert {row.kind for row in unpriced} == {"unpriced"}
    assert spending(scene).saved == 0, "nothing is compared with nothing"
    report = [(A.id, Decimal("0.040"))]
    scene.db.write(lambda tx: prices.record_report(tx, scene.now, scene.client_id, scene.now, report))
    scene.run(900)
    settled(scene)
    hours = (
        sum(e.quantity for e in scene.rows(ledger_entries, ledger_entries.c.resource_id == machine)) / 3600
    )
    assert hours > 4
    assert spending(scene).unpriced_seconds == 0
    assert entries_of(scene, machine) == entries_of(scene, machine, recomputed(scene))


def spending(scene):
    return scene.db.read(lambda tx: views_savings.total(tx, scene.client_id, None, None))


def test_an_old_price_bills_no_present_second():
    """Imported long ago and not confirmed since: unknown is unknown, and no saving is made of it."""
    scene = Scene(has_cloud=False)
    long_ago = scene.now - timedelta(days=1800)
    old = [(A.id, Decimal("0.0358"))]
    scene.db.write(lambda tx: prices.record_report(tx, scene.now, None, long_ago, old))
    scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(7200)
    totals, paid = settled(scene)
    assert paid == totals[EntryKind.COMPUTE] == 0
    assert spending(scene).unpriced_seconds > 7000
    assert spending(scene).saved == 0


def test_a_deleted_agent_costs_nothing_from_then_on():
    """Its machine is its user's own again: what it costs and what on-demand would have end at the same moment."""
    scene = Scene()
    agent = scene.protect(pool=A, auto_switch_enabled=False, manual_replica_enabled=True)
    scene.run(1000, until=lambda: any(r.status == "ready" for r in scene.live_replicas(agent)))
    (standby,) = (r.instance_id for r in scene.live_replicas(agent))
    settled(scene)
    deleted = scene.now
    scene.db.write(lambda tx: deletions.delete(tx, scene.now, scene.client_id, agent))
    scene.run(3 * 3600)
    totals, _ = settled(scene)
    scene.run(3 * 3600)
    assert settled(scene)[0] == totals
    ends = {
        (row.kind, row.resource_id): max(e.to_at for e in scene.rows(ledger_entries) if e.kind == row.kind)
        for row in scene.rows(ledger_entries)
    }
    assert {ends[kind, of] for kind, of in ends if kind in {"compute", "ondemand", "storage"}} == {deleted}
    assert ends["replica", standby] >= deleted, "what SpotGuard still had to end is its own cost"
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]


@pytest.mark.parametrize("comes_back", [False, True])
def test_while_nothing_of_a_workload_runs_nothing_is_saved(comes_back):
    """Whoever stops an instance at night does so on demand too; and a dead workload is no saving."""
    scene = Scene()
    agent = scene.protect(pool=B, mode=Mode.ONDEMAND, auto_switch_enabled=False, enabled=False)
    scene.run(2000)
    settled(scene)
    scene.ec2.controls.stop(machine := scene.serving(agent))
    scene.run(3 * 3600)
    if comes_back:
        scene.ec2.controls.start(machine)
        scene.run(1200)
    totals, _ = settled(scene)
    assert totals[EntryKind.ONDEMAND] == totals[EntryKind.COMPUTE], "second by second, at the same price"
    assert entries(scene) == [asdict(e) | {"kind": e.kind.value} for e in recomputed(scene)]


def test_on_demand_is_compared_with_the_pool_where_the_workload_was():
    scene = Scene()
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(3600)
    scene.switch(agent, B)
    scene.run(7200)
    totals, _ = settled(scene)

    def by_pool(tx):
        return views_savings.groups(tx, scene.client_id, None, None, views_savings.GroupBy.POOL)

    groups = {group.key: group.spent for group in scene.db.read(by_pool)}
    assert sum(spent.of("ondemand") for spent in groups.values()) == totals[EntryKind.ONDEMAND]
    assert min(groups[A.id].saved, groups[B.id].saved) > 0
    assert groups[B.id].of("ondemand") > groups[A.id].of("ondemand") > 0
    assert groups[None].of("ondemand") == 0, "only storage has no pool"


def entries_of(scene, machine, made=None):
    rows = entries(scene) if made is None else [asdict(e) | {"kind": e.kind.value} for e in made]
    return [row for row in rows if row["resource_id"] == machine]
