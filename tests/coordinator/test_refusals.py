"""What EC2 refuses until a person acts: people hear of it, and nobody waits with a closed gate for what cannot come."""

from datetime import timedelta
from itertools import count

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.domain.tags import PURPOSE_TAG
from spotguard.ports.cloud import CopyState
from spotguard.store.tables import agent_events, replica_instances
from tests.coordinator.scene import A, B, Scene

CODE = "UnauthorizedOperation"
HOUR = 3600


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0, auto_switch_enabled=False)
    scene.run(120)
    return agent


def refuse(scene, call, code=CODE):
    """Each time with another sentence, as EC2 adds an encoded message to some refusals."""
    times = count(1)
    scene.ec2.faults.sometimes(
        call, 1, lambda: NeedsPerson(code, f"not allowed to {call}, no. {next(times)}")
    )


def told(scene):
    return scene.rows(agent_events, agent_events.c.kind == "needs_person")


def kill_holder(scene, agent):
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    return old


def dry(scene, pool):
    for mode in Mode:
        scene.ec2.controls.make_dry(pool, mode=mode)


def state_volume(scene, instance_id):
    (view,) = scene.ec2.describe_instances([instance_id])
    (found,) = [volume.volume_id for volume in view.volumes if volume.device == "/dev/sdf"]
    return found


def test_an_image_that_may_not_be_made_opens_the_gate_of_the_old_one_at_once(scene, agent):
    old = scene.serving(agent)
    refuse(scene, "create_image")
    opened = scene.switch(agent, B, kind=MoveKind.IMAGE)
    scene.run(600, until=lambda: not scene.is_open(agent))
    scene.run(60, until=lambda: scene.is_open(agent))
    move = scene.move(opened.switch_id)
    assert (move.status, scene.serving(agent)) == ("unwound", old)
    assert f"EC2 refuses to make the image: {CODE}: not allowed to create_image" in move.ended_because
    (event,) = told(scene)
    assert (event.detail["code"], "not allowed to create_image" in event.message) == (CODE, True)
    assert scene.breaches() == []


def test_an_image_that_comes_only_too_early_is_asked_for_again(scene, agent):
    old = scene.serving(agent)
    scene.ec2.faults.next("create_image", NeedsPerson("IncorrectState", "the volume is attaching"))
    scene.switch(agent, B, kind=MoveKind.IMAGE)
    scene.run(HOUR, until=scene.serves_elsewhere(agent, old))
    assert told(scene) == []


def test_a_recovery_that_may_not_attach_its_volume_says_so_each_hour_and_tries_on(scene, agent):
    refuse(scene, "attach_volume")
    old = kill_holder(scene, agent)
    scene.run(HOUR // 2)
    assert [CODE in event.message for event in told(scene)] == [True]
    scene.run(HOUR)
    assert len(told(scene)) == 2
    scene.ec2.faults.sometimes("attach_volume", 0)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).kind == MoveKind.VOLUME


def test_a_recovery_that_may_not_make_a_snapshot_says_so_and_tries_on(scene, agent):
    refuse(scene, "create_snapshot")
    dry(scene, A)
    old = kill_holder(scene, agent)
    scene.run(HOUR // 2)
    assert [CODE in event.message for event in told(scene)] == [True]
    scene.ec2.faults.sometimes("create_snapshot", 0)
    scene.run(HOUR, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).kind == MoveKind.SNAPSHOT


@pytest.mark.parametrize("comes_to_nothing", [False, True], ids=["refused", "failed"])
def test_a_recovery_that_gets_no_snapshot_starts_in_the_volumes_zone_when_that_has_capacity_again(
    scene, agent, comes_to_nothing
):
    dry(scene, A)
    old = kill_holder(scene, agent)
    if not comes_to_nothing:
        refuse(scene, "create_snapshot")
    let_fail(scene, HOUR // 3)
    assert scene.last_move(agent).kind == MoveKind.SNAPSHOT
    scene.ec2.controls.end_dryness(A)
    deadline = scene.now + timedelta(hours=1)
    while not scene.serves_elsewhere(agent, old)():
        let_fail(scene, 5)
        assert scene.now < deadline
    move = scene.last_move(agent)
    assert (move.kind, move.lost_seconds, scene.agent(agent).az) == (MoveKind.VOLUME, 0, A.az)
    scene.run(HOUR)
    assert scene.ec2.inventory().snapshots == ()
    assert scene.breaches() == []


def let_fail(scene, seconds):
    """Whatever snapshot is under way meanwhile comes to nothing."""
    end = scene.now + timedelta(seconds=seconds)
    while scene.now < end:
        scene.run(5)
        for view in scene.ec2.inventory().snapshots:
            if view.state is CopyState.PENDING:
                scene.ec2.controls.fail_copy(view.snapshot_id)


def test_while_the_zone_has_nothing_it_goes_on_asking_for_the_snapshot(scene, agent):
    dry(scene, A)
    old = kill_holder(scene, agent)
    refuse(scene, "create_snapshot")
    scene.run(3 * HOUR)
    scene.ec2.faults.sometimes("create_snapshot", 0)
    scene.run(HOUR, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).kind == MoveKind.SNAPSHOT
    assert scene.breaches() == []


def test_snapshots_that_come_to_nothing_are_told_and_asked_for_more_and_more_seldom(scene, agent):
    dry(scene, A)
    old = kill_holder(scene, agent)
    let_fail(scene, HOUR // 2)
    failed = snapshots(scene)
    assert 4 <= len(failed) <= 6
    assert [failed[0].snapshot_id in event.message for event in told(scene)] == [True]
    scene.run(2 * HOUR, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).kind == MoveKind.SNAPSHOT


def snapshots(scene):
    """Those of the recovery, whatever became of them."""
    return [copy for copy in scene.ec2.world.snapshots.values() if copy.tags.get(PURPOSE_TAG) == "recovery"]


def test_what_is_refused_at_the_very_opening_of_a_recovery_is_told_too(scene, agent):
    dry(scene, A)
    scene.ec2.faults.next("create_snapshot", NeedsPerson(CODE, "not allowed, this once"))
    old = kill_holder(scene, agent)
    scene.run(HOUR, until=scene.serves_elsewhere(agent, old))
    (event,) = told(scene)
    assert event.at - scene.last_move(agent).created_at < timedelta(seconds=1)


def test_volumes_that_may_not_be_given_back_are_told_of_until_they_may(scene, agent):
    old = scene.serving(agent)
    volume = state_volume(scene, old)
    refuse(scene, "attach_volume")
    opened = scene.switch(agent, A, mode=Mode.ONDEMAND, kind=MoveKind.VOLUME)
    scene.run(HOUR, until=lambda: scene.move(opened.switch_id).unwinding_since is not None)
    before = len(told(scene))
    assert before == 1, "the move away was refused it first"
    scene.run(HOUR + 600)
    assert len(told(scene)) > before
    scene.ec2.faults.sometimes("attach_volume", 0)
    scene.run(600, until=lambda: scene.is_open(agent))
    assert (scene.serving(agent), state_volume(scene, old)) == (old, volume)


def test_a_volume_adrift_that_may_not_be_attached_again_is_told_of_until_it_may(scene, agent):
    holder = scene.serving(agent)
    volume = state_volume(scene, holder)
    refuse(scene, "attach_volume")
    scene.ec2.detach_volume(volume)
    scene.run(HOUR // 2)
    assert [CODE in event.message for event in told(scene)] == [True]
    scene.ec2.faults.sometimes("attach_volume", 0)
    scene.run(600, until=lambda: scene.ec2.describe_volumes([volume])[0].attached_to == holder)


class WithoutSubnet:
    """EC2 of an account that has no subnet any more in one zone."""

    def __init__(self, ec2, az) -> None:
        self._ec2, self._az = ec2, az

    def create_fleet(self, request):
        if all(pool.az == self._az for pool, _ in request.candidates):
            raise NeedsPerson("InvalidSubnetID.NotFound", "the subnet 'subnet-1' does not exist")
        return self._ec2.create_fleet(request)

    def __getattr__(self, name):
        return getattr(self._ec2, name)


def test_where_the_volumes_zone_has_no_subnet_any_more_a_snapshot_goes_to_another(scene, agent):
    cloud = WithoutSubnet(scene.ec2, A.az)
    scene.coordinator.ctx.clouds = lambda _client: cloud
    old = kill_holder(scene, agent)
    scene.run(HOUR, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    assert (move.kind, move.lost_seconds) == (MoveKind.SNAPSHOT, 0)
    assert ["InvalidSubnetID.NotFound" in event.message for event in told(scene)] == [True]


@pytest.mark.long
def test_what_every_zone_would_refuse_keeps_to_the_volume(scene, agent):
    refuse(scene, "create_fleet")
    old = kill_holder(scene, agent)
    scene.run(HOUR // 2)
    assert [CODE in event.message for event in told(scene)] == [True]
    scene.ec2.faults.sometimes("create_fleet", 0)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).kind == MoveKind.VOLUME


def test_a_notice_in_which_everything_is_refused_is_answered_with_pauses(scene):
    """Each answer is a replica, a move and their events: not one in every second of the two minutes."""
    agent = scene.protect(pool=A, mode=Mode.SPOT, terminate_wait_seconds=0, auto_switch_enabled=True)
    scene.run(120)
    refuse(scene, "create_fleet")
    began = scene.now
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=120)
    scene.run(10)
    for _ in range(100):
        scene.clock.time += timedelta(seconds=1)
        scene.coordinator.run_pass()
    tried = [row.created_at for row in scene.rows(replica_instances)]
    assert 3 < len(tried) <= 3 + 110 / 15
    assert max(tried) - began > timedelta(seconds=80), "nor is it given up"


def test_an_account_in_which_ec2_answers_nothing_is_told_once_an_hour_while_all_goes_well(scene, agent):
    refuse(scene, "describe_instances", "AuthFailure")
    scene.run(1800)
    (event,) = told(scene)
    assert (event.agent_id, event.detail["code"]) == (None, "AuthFailure")
    assert "no death is seen" in event.message
    assert scene.is_open(agent)
