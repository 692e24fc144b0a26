"""Planned moves with the real simulated EC2: every kind, either executor, to the last leftover, and unwound."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import Refused
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind, Step
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.store import moves
from spotguard.store.tables import agent_events, commands, instances, storage_resources
from tests.coordinator.scene import A, B, C, Scene


@pytest.fixture(params=[Executor.AGENT, Executor.SERVER])
def scene(request):
    return Scene(executor=request.param)


def moved(scene, agent, opened):
    scene.run(1800, until=lambda: scene.move(opened.switch_id).status == "completed")


def test_a_synced_move_goes_to_its_pool_and_leaves_nothing_behind(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=300)
    scene.run(60)
    old = scene.serving(agent)
    opened = scene.switch(agent, B)
    assert opened.kind is MoveKind.SYNCED
    moved(scene, agent, opened)
    new = scene.serving(agent)
    assert new != old
    assert scene.agent(agent).current_pool_id == B.id
    assert scene.agent(agent).epoch == 2
    assert scene.agent(agent).status == "online"
    assert scene.running() == {new}
    assert Step.PRUNED in scene.steps(opened.switch_id)
    switch = scene.move(opened.switch_id)
    assert switch.old_terminated_at - switch.instance_ready_at >= timedelta(seconds=300)
    kept = scene.rows(storage_resources, storage_resources.c.ended_at.is_(None))
    assert {row.attached_to for row in kept if row.is_ours} == {new}
    assert scene.breaches() == []


def test_the_order_of_one_that_ended_before_it_could_answer_is_closed_by_its_move(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(30)
    scene.die_before_they_answer = True
    opened = scene.switch(agent, B)
    moved(scene, agent, opened)
    order = scene.row(commands, commands.c.id == opened.command_id)
    assert (order.status, order.message) == ("completed", "every step is done")


def test_what_its_owner_wanted_deleted_with_the_instance_is_deleted_and_his_data_are_his(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(30)
    opened = scene.switch(agent, B)
    moved(scene, agent, opened)
    left = scene.rows(storage_resources, storage_resources.c.ended_at.is_(None), ~storage_resources.c.is_ours)
    assert [row.device for row in left] == ["/dev/sdf"]


def test_a_move_within_the_zone_carries_the_volume_itself(scene):
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, terminate_wait_seconds=0)
    scene.run(30)
    volume = scene.row(storage_resources, storage_resources.c.device == "/dev/sdf")
    opened = scene.switch(agent, A)
    assert opened.kind is MoveKind.VOLUME
    moved(scene, agent, opened)
    now_at = scene.row(storage_resources, storage_resources.c.id == volume.id).attached_to
    assert now_at == scene.serving(agent)
    assert scene.agent(agent).current_mode == "spot"
    assert scene.breaches() == []


def test_a_volume_that_no_row_names_is_carried_too():
    """The plan is what EC2 shows of the holder, not what the last look had told of it."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, terminate_wait_seconds=0)
    scene.run(30)
    volume = scene.row(storage_resources, storage_resources.c.device == "/dev/sdf").id
    opened = scene.switch(agent, A)
    mine = storage_resources.c.id == volume
    scene.db.write(lambda tx: tx.execute(storage_resources.update().where(mine).values(device=None)))
    moved(scene, agent, opened)
    (view,) = scene.ec2.describe_volumes([volume])
    assert view.attached_to == scene.serving(agent)


def test_a_volume_move_without_a_volume_comes_to_nothing():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, terminate_wait_seconds=0)
    scene.run(30)
    old = scene.serving(agent)
    volume = scene.row(storage_resources, storage_resources.c.device == "/dev/sdf").id
    opened = scene.switch(agent, A)
    scene.ec2.detach_volume(volume)
    scene.run(60)
    scene.ec2.delete_volume(volume)
    scene.run(900, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert scene.serving(agent) == old


def test_the_image_brings_no_volume_to_a_device_where_one_is_to_come():
    """After a move by image the agent's image has a copy of every volume; EC2 attaches no second one to a device."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    second = scene.ec2.create_volume(ClientToken("second"), A.az, 5, {ADOPTED_TAG: agent})
    scene.run(30)
    scene.ec2.attach_volume(second, scene.serving(agent), "/dev/sdg")
    moved(scene, agent, scene.switch(agent, A, Mode.ONDEMAND, kind=MoveKind.IMAGE))
    was = {v.volume_id for v in scene.ec2.inventory().volumes if v.device in ("/dev/sdf", "/dev/sdg")}
    assert len(was) == 2
    moved(scene, agent, scene.switch(agent, A, kind=MoveKind.VOLUME))
    (now,) = scene.ec2.describe_instances([scene.serving(agent)])
    assert {v.volume_id for v in now.volumes if v.device in ("/dev/sdf", "/dev/sdg")} == was


def test_a_state_on_the_root_is_not_left_behind_by_a_volume_that_moves(scene):
    """Beside it a volume for something else: moved alone, it would open the workload without its state."""
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, terminate_wait_seconds=0)
    scene.run(30)
    scene.db.write(lambda tx: tx.execute(instances.update().values(state_on_root=True)))
    assert scene.move(scene.switch(agent, A).switch_id).kind == MoveKind.SYNCED


def test_an_image_carries_what_nothing_can_sync():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(30)
    opened = scene.switch(agent, B, kind=MoveKind.IMAGE)
    moved(scene, agent, opened)
    assert scene.agent(agent).ami_id != scene.image
    assert scene.breaches() == []


def test_with_auto_terminate_off_the_old_one_runs_on(scene):
    agent = scene.protect(pool=A, auto_terminate_enabled=False)
    scene.run(30)
    old = scene.serving(agent)
    opened = scene.switch(agent, B)
    moved(scene, agent, opened)
    assert old in scene.running()
    assert scene.move(opened.switch_id).old_terminated_at is None
    assert scene.row(instances, instances.c.id == old).is_active


def test_a_dry_pool_unwinds_the_move_and_the_old_one_serves_on():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(30)
    scene.ec2.controls.make_dry(B)
    opened = scene.switch(agent, B)
    scene.run(120, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert scene.is_open(agent)
    assert scene.agent(agent).status == "online"
    assert scene.agent(agent).epoch == 1


def test_a_server_without_the_clients_account_gives_the_move_up_and_says_what_is_missing():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(30)
    scene.has_cloud = False
    opened = scene.switch(agent, B)
    scene.run(60, until=lambda: scene.move(opened.switch_id).status == "unwound")
    told = [event.message for event in scene.rows(agent_events, agent_events.c.agent_id == agent)]
    assert any("spotguard client account NAME --region REGION" in message for message in told)
    assert scene.is_open(agent)


def test_a_target_that_dies_before_the_grant_unwinds_the_move(scene):
    agent = scene.protect(pool=A)
    scene.run(30)
    opened = scene.switch(agent, B)
    scene.run(60, until=lambda: scene.move(opened.switch_id).new_instance_id is not None)
    scene.ec2.controls.fail_instance(scene.move(opened.switch_id).new_instance_id)
    scene.run(120, until=lambda: scene.move(opened.switch_id).status == "unwound")
    scene.run(30)
    assert scene.is_open(agent)
    scene.run(300)
    assert scene.running() == {scene.serving(agent)}


def test_a_successor_that_may_not_end_the_old_one_is_asked_again_but_not_at_once():
    """Its owner has yet to hand the old instance over, and no server can end it: it costs, and nothing more."""
    scene = Scene(executor=Executor.AGENT)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(30)
    old, opened = scene.serving(agent), scene.switch(agent, B)
    scene.run(600, until=lambda: Step.OPENED in scene.steps(opened.switch_id))
    scene.has_cloud, scene.refuses = False, frozenset({CommandType.TERMINATE_INSTANCE})
    asked = commands.c.command_type == CommandType.TERMINATE_INSTANCE.value
    scene.run(600, until=lambda: scene.rows(commands, asked) != [])
    scene.run(660)
    assert 2 <= len(scene.rows(commands, asked)) <= 4
    assert old in scene.running()
    scene.refuses = frozenset()
    scene.run(
        600, until=lambda: Step.OLD_ENDED in scene.steps(opened.switch_id) or old not in scene.running()
    )


def test_a_second_click_is_told_to_wait(scene):
    agent = scene.protect(pool=A)
    scene.run(30)
    scene.switch(agent, B)
    with pytest.raises(Refused, match="under way"):
        scene.switch(agent, C)


@pytest.mark.parametrize(
    ("pool", "mode", "why"),
    [(A, Mode.SPOT, "already"), (None, Mode.SPOT, "named")],
)
def test_a_move_to_nowhere_is_refused(pool, mode, why):
    scene = Scene()
    agent = scene.protect(pool=A)
    scene.run(30)
    with pytest.raises(Refused, match=why):
        scene.switch(agent, pool, mode)


def test_hands_off_means_no_move():
    scene = Scene()
    agent = scene.protect(pool=A)
    scene.run(30)
    scene.config(agent, enabled=False)
    with pytest.raises(Refused, match="hands off"):
        scene.switch(agent, B)


def test_a_coordinator_that_died_is_continued_by_another(scene):
    """Each pass is run by a new coordinator that remembers nothing."""
    agent = scene.protect(pool=A, terminate_wait_seconds=60)
    scene.run(30)
    opened = scene.switch(agent, B)
    for _ in range(200):
        scene.coordinator = scene.new_coordinator()
        scene.run(5)
        if scene.move(opened.switch_id).status == "completed":
            break
    assert scene.move(opened.switch_id).status == "completed"
    scene.run(200)
    assert len(scene.running()) == 1
    assert scene.breaches() == []


def test_the_events_tell_the_story():
    scene = Scene()
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(30)
    moved(scene, agent, scene.switch(agent, B))
    kinds = [row.kind for row in scene.rows(agent_events, agent_events.c.agent_id == agent)]
    for kind in ("switch_opened", "epoch_granted", "switch_verified", "switch_completed"):
        assert kind in kinds


def test_an_old_one_that_is_only_said_to_have_ended_is_ended_in_its_time(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=300)
    scene.run(60)
    old = scene.serving(agent)
    opened = scene.switch(agent, B)
    scene.run(1200, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    new, now = scene.serving(agent), scene.now
    scene.db.write(lambda tx: moves.record_step(tx, now, opened.switch_id, Step.OLD_ENDED, now, new))
    scene.run(120)
    assert old in scene.running(), "the waiting time is not over"
    assert scene.move(opened.switch_id).status == "committed"
    moved(scene, agent, opened)
    assert scene.running() == {new}
    assert scene.breaches() == []
