"""The specification's flows «Auto-Terminate Disabled», «Auto-Terminate Enabled», «Manual Switching»."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import Throttled
from spotguard.domain.switches import Step
from spotguard.store import accounts
from tests.stories.scene import Scene


def test_manual_switching_makes_a_command_that_the_agent_polls_and_executes(scene):
    before = scene.agent()
    panel = scene.get(f"/api/client/instances/{before.instance_id}/pricing")
    target = next(pool for pool in panel["pools"] if pool["allowed"])

    # User clicks "Switch to Pool X"
    answer = scene.post(
        f"/api/client/instances/{before.instance_id}/force-switch",
        {"target": "pool", "pool_id": target["id"]},
        expect=202,
    )
    command = scene.commands()[-1]
    assert command.id == answer["commandId"]
    assert (command.command_type, command.target_mode, command.target_pool_id) == (
        "switch",
        "spot",
        target["id"],
    )
    assert command.terminate_wait_seconds == before.terminate_wait_seconds == 1800
    assert (command.priority, command.created_by) == (75, "user")

    # Agent polls pending-commands and executes the switch
    scene.until(lambda: scene.agent().current_pool_id == target["id"], minutes=20)
    switch = scene.until(
        lambda: scene.switches()[-1] if scene.switches()[-1].instance_ready_at else None, seconds=5
    )
    assert (switch.event_trigger, switch.trigger_type) == ("manual", "manual")
    assert switch.command_id == command.id
    assert (switch.old_instance_id, switch.new_instance_id) == (before.instance_id, scene.agent().instance_id)
    assert switch.initiated_at <= switch.instance_launched_at <= switch.instance_ready_at
    scene.assert_no_record_lost_or_doubled()


def test_with_auto_terminate_the_old_instance_ends_after_the_wait_and_only_then(scene):
    old = scene.agent().instance_id
    scene.force_to_spot()
    new = scene.agent().instance_id

    # waits terminate_wait_seconds = 1800 with both
    scene.wait(minutes=29)
    assert scene.active_instances() == {old, new}

    scene.until(lambda: scene.active_instances() == {new}, minutes=5)
    switch = scene.switches()[-1]
    assert switch.old_terminated_at - switch.instance_ready_at >= timedelta(seconds=1800)
    assert scene.instance(old).terminated_at is not None
    assert scene.agent().instance_count == 1


def test_a_kill_switch_reaches_who_is_about_to_end_the_old_instance(scene):
    """Its command was leased before, and EC2 has not taken the call yet."""
    scene.configure(terminateWaitSeconds=60)
    old, ec2 = scene.agent().instance_id, scene.world.ec2
    ec2.faults.sometimes("terminate_instance", 1.0, lambda: Throttled("RequestLimitExceeded"))
    scene.force_to_spot()
    scene.until(lambda: ec2.faults.injected["terminate_instance:RequestLimitExceeded"], minutes=10)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "reason": "something looks wrong"})
    ec2.faults.clear()
    scene.wait(minutes=15)
    assert old in scene.active_instances()
    scene.put("/api/client/kill-switch", {"level": "none", "reason": "it was not"})
    scene.until(lambda: old not in scene.active_instances(), minutes=10)


def test_without_auto_terminate_both_stay_active_and_nothing_claims_otherwise(scene):
    scene.configure(autoTerminateEnabled=False)
    old = scene.agent().instance_id
    scene.force_to_spot()
    new = scene.agent().instance_id

    scene.wait(hours=2)
    assert scene.active_instances() == {old, new}
    assert scene.switches()[-1].old_terminated_at is None
    assert scene.instance(old).terminated_at is None
    # user must terminate A by hand; until then it is metered, not hidden
    assert scene.agent().instance_count == 2
    scene.assert_no_record_lost_or_doubled()


@pytest.mark.parametrize("kind", ["synced", "volume", "image"])
def test_no_kind_of_move_loses_or_doubles_a_record(scene, kind):
    before = scene.agent()
    pools = scene.get(f"/api/client/instances/{before.instance_id}/pricing")["pools"]
    in_place = kind == "volume"  # a volume lives in one zone
    target = next(pool for pool in pools if pool["allowed"] and (pool["az"] == before.az) == in_place)

    scene.post(
        f"/api/client/instances/{before.instance_id}/force-switch",
        {"target": "pool", "pool_id": target["id"], "kind": kind},
        expect=202,
    )
    scene.until(lambda: scene.agent().current_pool_id == target["id"], minutes=60)
    scene.wait(minutes=5)
    switch = scene.switches()[-1]
    assert (switch.kind, switch.status) == (kind, "committed")
    assert (switch.ami_created_at is not None) == (kind == "image")
    scene.assert_no_record_lost_or_doubled()


@pytest.mark.parametrize(("kind", "step"), [("image", Step.GATE_CLOSED), ("volume", Step.LAUNCHED)])
def test_who_calls_ec2_for_a_move_does_not_change_in_the_midst_of_it(kind, step):
    scene = Scene(executor=Executor.SERVER)
    row = scene.agent()
    fit = [
        pool["id"]
        for pool in scene.pools()
        if pool["allowed"]
        and (pool["az"] == row.az) is (kind == "volume")
        and pool["id"] != row.current_pool_id
    ]
    wish = {"target": "pool", "pool_id": fit[0], "kind": kind}
    scene.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)
    scene.until(lambda: scene.has_recorded(step), minutes=30)
    now, agents = scene.world.clock.now(), Executor.AGENT
    scene.world.db.write(lambda tx: accounts.set_executor(tx, now, row.client_id, agents))
    scene.until(lambda: scene.has_recorded(Step.OPENED), minutes=15)
    scene.assert_no_record_lost_or_doubled()
    scene.close()


@pytest.mark.parametrize("executor", Executor)
def test_no_gate_closes_for_an_image_that_would_lack_the_state(executor):
    """Its volume was taken off a moment ago: no row knows of that yet."""
    scene = Scene(executor=executor)
    row = scene.agent()
    fit = [pool["id"] for pool in scene.pools() if pool["allowed"] and pool["az"] != row.az]
    (volume,) = scene.state_volumes(row.instance_id)
    scene.world.ec2.detach_volume(volume)
    scene.wait(seconds=5)
    wish = {"target": "pool", "pool_id": fit[0], "kind": "image"}
    scene.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)
    scene.until(lambda: scene.switches()[-1].status == "unwound", minutes=10)
    assert not scene.has_recorded(Step.GATE_CLOSED)
    scene.until(lambda: scene.state_volumes(row.instance_id) == [volume], minutes=15)
    assert scene.agent().instance_id == row.instance_id
    assert scene.world.registers["web-1"].serving() == [row.instance_id]
    scene.close()
