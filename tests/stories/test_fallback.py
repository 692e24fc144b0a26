"""Ruling B1: while the old instance of a move waits for its end, the new one brings its state back to it."""

from decimal import Decimal

from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.simulation.machine import state_of

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
    scene.world._around.fabric.seconds_per_pass = FOREVER
    scene.wait(minutes=3)
    first = told(scene)
    assert first["syncStatus"] == "out-of-sync"
    assert 100 < float(first["discardsSeconds"]) < 240
    scene.wait(minutes=2)
    grown = float(told(scene)["discardsSeconds"]) - float(first["discardsSeconds"])
    assert 100 < grown < 140, "it grows as time goes by"


def test_what_was_never_measured_is_unknown(scene):
    old = scene.agent().instance_id
    scene.order_move(in_its_zone=False)
    scene.until(lambda: scene.has_recorded(Step.GRANTED), minutes=20)
    scene.world._around.fabric.seconds_per_pass = FOREVER
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
