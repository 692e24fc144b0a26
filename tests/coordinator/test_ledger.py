"""The ledger equals the meter of the simulated EC2, and a recomputation from events to the last digit."""

from dataclasses import asdict
from decimal import Decimal

from spotguard.domain.instances import Mode
from spotguard.planning.metering import EntryKind
from spotguard.store import ledger
from spotguard.store.tables import ledger_entries, storage_resources
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
