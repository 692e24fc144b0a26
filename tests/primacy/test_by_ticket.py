"""A notice while the server is away: the holder hands over by its ticket, and the server learns of it afterwards."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.pools import parse_pool_id
from spotguard.simulation.audit import judge
from spotguard.store.tables import epoch_grants, handover_tickets, ledger_entries, switch_steps
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    """The primary runs on spot; a standby stands by, and its ticket is out."""
    stage = protected()
    yield stage
    stage.close()


def protected(agents=1, *, is_dry=False, **more) -> Scene:
    """Its standby is ready and has its ticket; on demand if no spot capacity is left for it."""
    stage = Scene(agents=agents, **more)
    stage.force_to_spot()
    for pool in stage.pools() if is_dry else ():
        stage.world.ec2.controls.make_dry(parse_pool_id(pool["id"]))
    stage.configure(manualReplicaEnabled=True, terminateWaitSeconds=0)
    stage.until(stage.ready_replica, minutes=20)
    stage.until(lambda: ticket(stage) is not None and ticket(stage).acknowledged_at, minutes=2)
    return stage


def ticket(scene):
    rows = scene.world.db.read(
        lambda tx: list(tx.execute(sa.select(handover_tickets).order_by(handover_tickets.c.issued_at)))
    )
    return rows[-1] if rows else None


def serving(scene, name="web-1"):
    return scene.world.registers[name].serving()


def steps_of(scene, switch_id):
    rows = scene.world.db.read(
        lambda tx: list(tx.execute(sa.select(switch_steps).where(switch_steps.c.switch_id == switch_id)))
    )
    return {row.step: row for row in rows}


def test_the_standby_serves_within_seconds_and_the_server_records_it_when_it_is_back(scene):
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    before = scene.agent().epoch
    scene.world.take_server_away()
    scene.aws_gives_notice()
    noticed = scene.world.clock.now()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    opened = scene.world.clock.now()
    assert opened - noticed < timedelta(seconds=12), "a second to hear, three for the server, and two passes"
    assert scene.agent().epoch == before, "the server knows nothing of it"
    scene.wait(minutes=30)

    scene.world.bring_server_back()
    scene.until(lambda: scene.agent().instance_id == standby, minutes=2)
    assert scene.agent().epoch == before + 1
    move = scene.switches()[-1]
    assert (move.event_trigger, move.kind, move.old_instance_id) == ("emergency", "synced", old)
    scene.until(lambda: "released" in steps_of(scene, move.id), minutes=2)
    told = steps_of(scene, move.id)
    assert told["gate_closed"].at <= told["delta_sent"].at <= told["released"].at <= told["opened"].at
    assert abs(told["opened"].at - opened) < timedelta(seconds=1), "the told times, not those of the hearing"
    assert told["opened"].recorded_at - told["opened"].at > timedelta(minutes=25)
    assert ticket(scene).status == "used"
    assert not scene.switches()[-1].lost_seconds
    assert paused_seconds(scene) < 60, "on demand would have cost something for what nobody had heard of"
    assert kind_at(scene, standby, opened + timedelta(minutes=5)) == "compute"
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=30)
    scene.until(scene.ready_replica, minutes=20)
    scene.assert_no_record_lost_or_doubled()
    world = scene.world
    world.run_until(world.clock.now().replace(microsecond=0) + timedelta(seconds=1))  # EC2 bills whole ones
    world.settle()
    verdict = judge(world)
    assert not verdict.broken
    assert not verdict.orphans


def paused_seconds(scene) -> float:
    """What the ledger compares with nothing since the agent enrolled."""
    scene.world.settle()
    told = [row for row in entries(scene) if row.kind == "ondemand"]
    span = scene.world.clock.now() - scene.agent().installed_at
    return span.total_seconds() - float(sum(row.quantity for row in told))


def kind_at(scene, instance_id, moment):
    rows = [row for row in entries(scene) if row.resource_id == instance_id]
    return next(row.kind for row in rows if row.from_at <= moment < row.to_at)


def entries(scene):
    return scene.world.db.read(lambda tx: tx.execute(sa.select(ledger_entries)).all())


def test_with_the_server_up_the_ticket_and_its_grant_are_one(scene):
    standby = scene.ready_replica().instance_id
    before = scene.agent().epoch
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    scene.until(lambda: scene.agent().instance_id == standby, seconds=15)
    assert scene.agent().epoch == before + 1
    scene.wait(minutes=10)
    assert ticket(scene).status in ("used", "out")  # `out`: that to the next standby
    scene.assert_no_record_lost_or_doubled()


def test_a_server_that_comes_back_in_the_midst_of_it_grants_the_same(scene):
    """Whenever within the hand-over it answers again, the epoch is granted once and to the standby."""
    standby = scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: not serving(scene), seconds=15)
    scene.world.bring_server_back()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    scene.until(lambda: scene.agent().instance_id == standby, minutes=2)
    grants = scene.world.db.read(lambda tx: list(tx.execute(sa.select(epoch_grants))))
    assert [row.instance_id for row in grants if row.epoch == scene.agent().epoch] == [standby]
    scene.assert_no_record_lost_or_doubled()


def test_no_way_to_the_standby_and_the_volumes_keep_the_state(scene):
    """The last pass does not arrive: the ticket is destroyed with the release, and the volume is recovered."""
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.world.fabric.cut_off.add(standby)
    scene.aws_gives_notice()
    scene.wait(minutes=3)
    assert serving(scene) == []
    scene.world.bring_server_back()
    scene.until(lambda: serving(scene) and serving(scene) != [old], minutes=20)
    scene.wait(minutes=5)
    scene.assert_no_record_lost_or_doubled()


def test_a_reboot_of_the_standby_changes_nothing(scene):
    """The same instance and boot as EC2 knows it: what it has received, and what it writes down, is on its disk."""
    standby = scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.world.ec2.controls.reboot(InstanceId(standby))
    scene.wait(minutes=3)
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=30)
    scene.assert_no_record_lost_or_doubled()


def test_a_standby_that_is_rebooted_right_after_it_took_over_serves_on(scene):
    standby = scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=30)
    scene.world.ec2.controls.reboot(InstanceId(standby))
    scene.until(lambda: not serving(scene), minutes=2)
    scene.until(lambda: serving(scene) == [standby], minutes=5)
    scene.world.bring_server_back()
    scene.until(lambda: scene.agent().instance_id == standby, minutes=2)
    scene.assert_no_record_lost_or_doubled()


def test_a_planned_move_elsewhere_ends_the_ticket_first(scene):
    issued = ticket(scene).id
    scene.force_to_spot()
    rows = scene.world.db.read(lambda tx: list(tx.execute(sa.select(handover_tickets))))
    assert {row.status for row in rows if row.id == issued} == {"destroyed"}
    scene.wait(minutes=5)
    scene.assert_no_record_lost_or_doubled()
