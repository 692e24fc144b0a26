"""Ruling B1: while the old instance of a move waits for its end, the new one brings its state back to it."""

from contextlib import closing
from decimal import Decimal

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.simulation.audit import losses_are_told, nothing_lost_on_planned_moves
from spotguard.simulation.machine import state_of
from spotguard.simulation.summary import gaps_of
from tests.stories.scene import Scene

FOREVER = 1e7  # seconds: no pass arrives any more


def moved(scene):
    """To another zone, by a synced move; the old and the new instance."""
    old = scene.agent().instance_id
    scene.order_move(in_its_zone=False)
    scene.until(lambda: scene.switches()[-1].instance_ready_at, minutes=20)
    assert scene.switches()[-1].kind == "synced"
    return InstanceId(old), InstanceId(scene.agent().instance_id)


def told(scene):
    return scene.get(f"/api/client/switches/{scene.switches()[-1].id}")["fallback"]


def fed(scene):
    """Whom the new holder's agent is told to bring its state to."""
    back = scene.world.processes[scene.agent().instance_id].agent.desk.fallback()
    return back and back.target.instance_id


def in_sync(scene):
    state = told(scene)
    return state if state and state["syncStatus"] == "synced" else None


def test_the_old_instance_is_kept_in_sync_and_going_back_discards_nothing(scene):
    old, new = moved(scene)
    had = state_of(scene.world.ec2, old).last
    assert Decimal(scene.until(lambda: in_sync(scene), minutes=3)["discardsSeconds"]) == 0
    scene.wait(minutes=10)
    assert had < state_of(scene.world.ec2, old).last <= state_of(scene.world.ec2, new).last
    newest = state_of(scene.world.ec2, new).last - state_of(scene.world.ec2, old).last
    assert newest < state_of(scene.world.ec2, new).last - had, "what was written since the move has come back"
    assert scene.switches()[-1].fallback_position > had
    scene.assert_no_record_lost_or_doubled()


def test_what_going_back_would_discard_is_measured_when_nothing_arrives(scene):
    moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    scene.world.fabric.seconds_per_pass = FOREVER
    scene.wait(minutes=3)
    first = told(scene)
    assert first["syncStatus"] == "out-of-sync"
    assert 100 < float(first["discardsSeconds"]) < 240
    scene.wait(minutes=2)
    grown = float(told(scene)["discardsSeconds"]) - float(first["discardsSeconds"])
    assert 100 < grown < 140, "it grows as time goes by"


def test_an_old_instance_that_is_not_heard_of_is_no_longer_in_sync(scene):
    old, _ = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    scene.world.kill(old)
    scene.wait(minutes=4)
    silent = told(scene)
    assert silent["syncStatus"] == "out-of-sync"
    assert float(silent["discardsSeconds"]) > 180


def test_what_was_never_measured_is_unknown(scene):
    old = scene.agent().instance_id
    scene.order_move(in_its_zone=False)
    scene.until(lambda: scene.has_recorded(Step.GRANTED), minutes=20)
    scene.world.fabric.seconds_per_pass = FOREVER
    state = scene.until(lambda: told(scene), minutes=3)
    assert state["syncStatus"] in ("initializing", "syncing")
    assert state["discardsSeconds"] is None
    assert old == scene.switches()[-1].old_instance_id


def test_when_the_old_instance_has_ended_nobody_copies_to_it(scene):
    old, new = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    assert fed(scene) == old
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=50)
    assert scene.active_instances() == {new}
    assert told(scene) is None
    scene.wait(minutes=2)
    assert fed(scene) is None


def test_only_the_old_instance_says_what_it_has(scene):
    _, new = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    path = f"switches/{scene.switches()[-1].id}/fallback-status"
    said = {"sync_status": "out-of-sync", "state_transfer_progress": 0}
    assert scene.world.processes[new].agent.desk.call("POST", path, said).status == 404
    assert in_sync(scene)


def back(scene, **more):
    """The order to the old instance's place, as its user gives it to the one that serves."""
    was = scene.switches()[-1]
    place = (
        {"target": "ondemand"} if was.old_pool_id is None else {"target": "pool", "pool_id": was.old_pool_id}
    )
    return f"/api/client/instances/{was.new_instance_id}/force-switch", {**place, **more}


@pytest.mark.parametrize("executor", Executor)
def test_a_switch_to_the_old_place_goes_back_to_the_kept_instance_and_loses_nothing(executor):
    with closing(Scene(executor=executor)) as scene:
        goes_back(scene)


def goes_back(scene):
    old, new = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    path, order = back(scene)
    shown = scene.post(f"{path}/preview", order)
    assert (shown["kind"], shown["overlapMinutes"]) == ("synced", 30.0), "nothing boots: only the wait"
    kept = shown["kept"]
    assert (kept["instanceId"], kept["goesBack"]) == (old, True)
    assert float(kept["state"]["discardsSeconds"]) == 0
    assert 0 <= float(kept["state"]["ageSeconds"]) < 60
    ordered = scene.post(path, order, expect=202)
    assert ordered["kept"]["goesBack"]
    scene.until(lambda: scene.agent().instance_id == old, minutes=3)
    scene.until(lambda: scene.switches()[0].status == "completed", minutes=10)
    assert scene.instance(old).is_active, "the former move has ended, and not its old instance"
    assert len(scene.all_instances()) == 2, "nothing was launched"
    assert scene.switches()[-1].plan["goes_back_to"] == old
    scene.configure(terminateWaitSeconds=60)
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=20)
    assert scene.active_instances() == {old}
    assert not scene.instance(new).is_active
    scene.assert_no_record_lost_or_doubled()


def test_the_old_instance_is_not_ended_while_its_workload_is_on_the_way_back(scene):
    old, _ = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    scene.until(lambda: scene.has_recorded(Step.VERIFIED), minutes=20)
    scene.world.fabric.cut_off.add(old)
    path, order = back(scene)
    scene.post(path, order, expect=202)
    scene.configure(terminateWaitSeconds=0)
    scene.wait(minutes=5)
    assert scene.instance(old).is_active
    assert "the way back" in scene.events("old_kept")[-1].message
    scene.world.fabric.cut_off.clear()
    scene.until(lambda: scene.switches()[-1].instance_ready_at, minutes=5)
    assert scene.agent().instance_id == old
    scene.assert_no_record_lost_or_doubled()


def test_what_is_out_of_sync_is_not_gone_back_to_and_the_preview_says_what_it_lacks(scene):
    old, _ = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    scene.world.fabric.seconds_per_pass = FOREVER
    scene.wait(minutes=3)
    path, order = back(scene)
    shown = scene.post(f"{path}/preview", order)
    kept = shown["kept"]
    assert (kept["instanceId"], kept["goesBack"]) == (old, False)
    assert kept["because"] == "its state is out-of-sync"
    assert 100 < float(kept["state"]["discardsSeconds"]) == float(kept["state"]["ageSeconds"])
    assert any("a new instance is launched" in text for text in shown["warnings"])


def test_another_place_and_another_kind_of_move_know_nothing_of_the_kept_instance(scene):
    moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    path, order = back(scene, kind="image")
    assert scene.post(f"{path}/preview", order)["kept"] is None
    pools = scene.get(f"{path.removesuffix('/force-switch')}/pricing")["pools"]
    elsewhere = next(p["id"] for p in pools if p["allowed"] and p["id"] != order.get("pool_id"))
    other = {"target": "pool", "pool_id": elsewhere}
    assert scene.post(f"{path}/preview", other)["kept"] is None


def test_a_way_back_that_comes_to_nothing_leaves_both_as_they_were(scene):
    old, new = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=3)
    path, order = back(scene)
    scene.world.fabric.cut_off.add(old)
    scene.post(path, order, expect=202)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "scope": "client", "reason": "wait"})
    scene.until(lambda: scene.switches()[-1].status == "unwound", minutes=5)
    assert scene.agent().instance_id == new
    assert scene.active_instances() == {old, new}
    scene.put("/api/client/kill-switch", {"level": "none", "scope": "client", "reason": "go on"})
    scene.world.fabric.cut_off.clear()
    scene.configure(terminateWaitSeconds=60)
    scene.until(lambda: scene.switches()[0].status == "completed", minutes=20)
    assert scene.active_instances() == {new}, "its waiting time was over, and it ended as always"
    scene.assert_no_record_lost_or_doubled()


def test_a_death_stays_a_death_in_the_account_when_its_successor_is_gone_back_to(scene):
    """One instance, two moves that lead to it: each of its times of serving is its own move's."""
    scene.configure(manualReplicaEnabled=True, autoSwitchEnabled=False)
    scene.until(scene.ready_replica, minutes=15)
    scene.wait(minutes=5)
    dead = scene.agent().instance_id
    scene.world.ec2.controls.fail_instance(InstanceId(dead))
    scene.until(lambda: scene.agent().instance_id != dead, minutes=10)
    page = f"/api/client/agents/{scene.agent().id}"
    scene.until(lambda: (look := scene.get(page)["lostState"]) and look["completedAt"], minutes=90)
    pool = scene.agent().current_pool_id
    successor, _ = moved(scene)
    scene.until(lambda: in_sync(scene), minutes=5)
    wish = {"target": "pool", "pool_id": pool}
    scene.post(f"/api/client/instances/{scene.agent().instance_id}/force-switch", wish, expect=202)
    scene.until(lambda: scene.agent().instance_id == successor, minutes=10)
    scene.wait(minutes=1)
    assert [gap.planned for gap in gaps_of(scene.world)] == [False, True, True]
    assert scene.world.registers["web-1"].losses, "with the dead one"
    assert nothing_lost_on_planned_moves(scene.world) == []
    assert losses_are_told(scene.world) == []
