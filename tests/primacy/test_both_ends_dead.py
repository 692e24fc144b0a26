"""A ticket was out, and both of its ends have ended unheard: nobody but a person can say whose volume is the newer."""

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.store.tables import agent_events, storage_resources
from tests.primacy.test_by_ticket import protected, serving
from tests.primacy.test_silent_standbys import cut


def test_a_standby_that_is_still_going_down_when_its_holder_is_gone_ends_the_recovery():
    """The server comes back between the two ends: the recovery that it begins by the holder's volume is given up."""
    scene = protected()
    world, old, standby = scene.world, scene.agent().instance_id, scene.ready_replica().instance_id
    epoch = scene.agent().epoch
    world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    scene.until(lambda: state(world, old) is InstanceState.TERMINATED, minutes=5)
    world.ec2.terminate_instance(InstanceId(standby))
    world.bring_server_back()
    scene.wait(minutes=30)
    recoveries = [move.status for move in scene.switches() if move.is_recovery]
    assert set(recoveries) == {"unwound"}, "begun between the two ends, and given up"
    assert (scene.agent().epoch, serving(scene)) == (epoch, [])
    assert any(old in what and standby in what for what in told(scene, "instance_ended"))
    assert {old, standby} <= whose_state_is_left(scene)
    scene.close()


def test_a_standby_that_sleeps_with_its_ticket_is_named_to_people_and_the_recovery_follows_its_start():
    scene, _, standby = asleep()
    scene.wait(hours=1)
    (why,) = (what for what in told(scene, "instance_ended") if standby in what)
    assert "Start it" in why
    assert serving(scene) == []
    scene.world.ec2.controls.start(InstanceId(standby))
    scene.until(lambda: serving(scene) != [], minutes=15)
    scene.wait(minutes=30)
    scene.assert_no_record_lost_or_doubled()
    scene.close()


def test_and_when_a_person_ends_it_he_is_told_of_both_their_volumes():
    scene, old, standby = asleep()
    scene.wait(minutes=30)
    scene.world.ec2.terminate_instance(InstanceId(standby))
    scene.wait(minutes=30)
    *_, why = (what for what in told(scene, "instance_ended") if standby in what)
    assert old in why
    assert "attach the state volume" in why
    assert {old, standby} <= whose_state_is_left(scene)
    scene.close()


def test_a_recovery_that_waits_for_a_standby_that_nobody_hears_says_so():
    scene = protected(troubled=True)
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    cut(scene, standby)
    scene.until(lambda: scene.ready_replica() is None, minutes=10)
    scene.world.ec2.controls.end_by_stranger(InstanceId(old))
    scene.until(lambda: any(standby in what for what in told(scene, "step_late")), minutes=15)
    cut(scene, standby, lost=0.0)
    scene.until(lambda: serving(scene) != [], minutes=10)
    scene.close()


def asleep():
    """Its holder has died while the standby slept and the server was away; the scene, the holder and the standby."""
    scene = protected(troubled=True, is_dry=True)
    world, old, standby = scene.world, scene.agent().instance_id, scene.ready_replica().instance_id
    world.ec2.controls.configure_hibernation(InstanceId(standby))
    world.take_server_away()
    world.ec2.controls.hibernate(InstanceId(standby))
    world.ec2.controls.end_by_stranger(InstanceId(old))
    scene.wait(minutes=3)
    world.bring_server_back()
    return scene, old, standby


def state(world, instance_id):
    return world.ec2.world.machines[InstanceId(instance_id)].state


def told(scene, kind):
    wanted = sa.select(agent_events.c.message).where(agent_events.c.kind == kind)
    return scene.world.db.read(lambda tx: tx.scalars(wanted).all())


def whose_state_is_left(scene):
    """Who had the volumes that are still there, wherever a recovery has carried them."""
    s = storage_resources.c
    wanted = sa.select(s.last_attached_to, s.moved_from).where(
        s.kind == "volume", s.device == "/dev/sdf", s.ended_at.is_(None)
    )
    return {who for row in scene.world.db.read(lambda tx: tx.execute(wanted).all()) for who in row}
