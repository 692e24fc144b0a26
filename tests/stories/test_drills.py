"""A failover on purpose: asked for by a person, carried out by the shipped hand-over, measured, and recorded."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.simulation.audit import orphans_of
from tests.stories.scene import Scene


def begin(scene, kind="failover", *, dry_run=False, expect=None):
    path = f"/api/client/agents/{scene.agent().id}/drill"
    wish = {"kind": kind, "dryRun": dry_run}
    return scene.post(path, wish, expect=expect or (200 if dry_run else 202))


def drills(scene):
    return scene.get(f"/api/client/agents/{scene.agent().id}/drills")["items"]


def ended(scene, *, minutes):
    return scene.until(lambda: next((d for d in drills(scene) if d["completedAt"]), None), minutes=minutes)


def with_a_standby(scene):
    scene.configure(manualReplicaEnabled=True)
    return scene.until(scene.ready_replica, minutes=10)


def refusal(scene, kind="failover"):
    return begin(scene, kind, expect=409)["detail"]


def test_the_ready_standby_takes_over_and_what_it_took_is_told(scene):
    standby = with_a_standby(scene)
    before = scene.agent()
    began = begin(scene)["drill"]
    assert (began["kind"], began["status"], began["replicaId"]) == ("failover", "running", standby.id)

    drill = ended(scene, minutes=10)
    assert drill["status"] == "passed"
    assert scene.agent().instance_id == standby.instance_id
    assert scene.agent().epoch == before.epoch + 1
    assert 0 < drill["outageSeconds"] <= drill["seconds"] < 120
    assert drill["lostSeconds"] == 0
    (switch,) = scene.switches()
    assert (switch.id, switch.event_trigger) == (drill["switchId"], "manual")
    last = scene.get(f"/api/client/agents/{before.id}")["lastDrill"]
    assert (last["passed"], last["seconds"]) == (True, drill["seconds"])
    scene.assert_no_record_lost_or_doubled()


@pytest.mark.parametrize("executor", list(Executor))
def test_without_a_standby_an_emergency_replica_is_made_and_nothing_is_left_over(executor):
    scene = Scene(executor=executor)
    before = scene.agent()
    begin(scene)
    assert scene.replicas()[-1].replica_type == "automatic-termination"
    drill = ended(scene, minutes=30)
    assert drill["status"] == "passed"
    assert scene.agent().instance_id != before.instance_id
    scene.wait(hours=1)
    assert scene.active_instances() == {scene.agent().instance_id}
    assert not orphans_of(scene.world)
    scene.assert_no_record_lost_or_doubled()
    scene.close()


def test_a_dry_run_shows_the_move_and_its_cost_and_leaves_every_row_as_it_was(scene):
    plan = begin(scene, dry_run=True)
    assert plan["drill"] is None
    assert plan["move"]["kind"] == "synced"
    assert float(plan["move"]["newUsdPerHour"]) > 0
    assert [step["step"] for step in plan["move"]["steps"]][:2] == ["decided", "launched"]
    assert (drills(scene), scene.replicas(), scene.switches()) == ([], [], [])


def test_a_dry_run_tells_whether_a_standby_is_promoted_or_made_and_what_is_billed_beside_it(scene):
    launched = begin(scene, dry_run=True)["move"]
    assert "an emergency replica is launched and synced first" in launched["because"]
    with_a_standby(scene)
    promoted = begin(scene, dry_run=True)["move"]
    assert promoted["because"].startswith("the ready standby, which is billed already, is promoted")
    assert "; a new one follows it, for about 0.0" in promoted["because"]
    assert float(promoted["overlapMinutes"]) == promoted["terminateWaitSeconds"] / 60
    assert float(launched["overlapMinutes"]) > float(promoted["overlapMinutes"])
    hourly = float(promoted["overlapUsd"]) / float(promoted["overlapMinutes"]) * 60
    assert hourly == pytest.approx(float(promoted["oldUsdPerHour"]), rel=0.01)
    assert (drills(scene), scene.switches()) == ([], [])


def test_a_cap_that_would_leave_the_workload_without_its_next_standby_refuses_the_drill(scene):
    with_a_standby(scene)
    move = begin(scene, dry_run=True)["move"]
    next_one = float(move["because"].split("for about ")[1].split()[0])
    enough = float(move["newUsdPerHour"]) + next_one
    for cap in ("0.01", f"{enough * 0.99:.6f}"):
        scene.configure(maxHourlyUsd=cap)
        assert "a new standby could not follow the promoted one: this agent's spending would" in refusal(
            scene
        )
        assert "a new standby could not follow" in begin(scene, dry_run=True, expect=409)["detail"]
    assert (drills(scene), scene.switches()) == ([], [])

    scene.configure(maxHourlyUsd=f"{enough * 1.05:.6f}")
    begin(scene)
    assert ended(scene, minutes=10)["status"] == "passed"
    scene.until(scene.ready_replica, minutes=90)


def test_an_old_instance_that_runs_on_counts_under_the_cap_that_its_drill_asks(scene):
    with_a_standby(scene)
    move = begin(scene, dry_run=True)["move"]
    next_one = float(move["because"].split("for about ")[1].split()[0])
    enough = float(move["newUsdPerHour"]) + next_one
    scene.configure(maxHourlyUsd=f"{enough * 1.05:.6f}", autoTerminateEnabled=False)
    assert "a new standby could not follow" in refusal(scene)


def test_the_certificate_of_a_drill_that_came_to_nothing_says_why(scene):
    begin(scene)
    scene.world.ec2.controls.fail_instance(scene.agent().instance_id)
    drill = ended(scene, minutes=30)
    assert drill["status"] == "failed"
    assert drill["because"]
    assert drill["seconds"] is None


def test_it_refuses_with_what_to_do(scene):
    agent = scene.agent()
    scene.configure(enabled=False)
    assert "enable it first" in refusal(scene)
    scene.configure(enabled=True)

    stop = {"level": "voluntary", "scope": agent.id, "reason": "a holiday"}
    scene.put("/api/client/kill-switch", stop)
    until = f"for this agent until spotguard kill-switch none --agent {agent.id}"
    assert f"the kill switch stands at voluntary: {until}" in refusal(scene)
    scene.put("/api/client/kill-switch", {**stop, "level": "none"})

    scene.configure(maxHourlyUsd="0.000001")
    assert "cap" in refusal(scene)
    scene.configure(maxHourlyUsd=None)

    begin(scene)
    assert "under way" in refusal(scene)


def test_a_second_one_waits_until_the_old_instance_has_ended(scene):
    with_a_standby(scene)
    begin(scene)
    assert ended(scene, minutes=10)["status"] == "passed"
    assert "wait until its old instance has ended" in refusal(scene)


def test_it_fails_when_its_new_instance_dies_before_it_has_proven_itself_and_another_one_serves(scene):
    standby = with_a_standby(scene).instance_id
    begin(scene)
    scene.until(lambda: scene.agent().instance_id == standby, minutes=10)
    scene.world.ec2.controls.fail_instance(InstanceId(standby))
    drill = ended(scene, minutes=30)
    assert scene.switches()[0].status in ("committed", "completed")
    assert (drill["status"], drill["seconds"], drill["outageSeconds"]) == ("failed", None, None)
    assert "had not proven itself" in drill["because"]
