"""The newest restore point is booted in quarantine: probed, timed, ended with its volumes, and told with a date."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.coordinator.restore_drills import RestoreDrills
from spotguard.domain.agents import Executor
from spotguard.domain.epochs import Proof
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.simulation.audit import judge, orphans_of
from spotguard.store import drills as drill_rows
from spotguard.store import grants, moves
from spotguard.store.tables import instances
from tests.stories.scene import Scene
from tests.stories.test_drills import begin, drills, ended, refusal
from tests.stories.test_restore_points import complete
from tests.stories.test_signals import on_spot


def with_a_point(scene, **settings):
    scene.configure(restorePointHours=24, **{"restoreDrillDays": 0, **settings})
    scene.until(lambda: complete(scene), minutes=15)
    return complete(scene)[0]


def clone_of(scene):
    """The clone's row, once EC2 has named it."""
    return scene.until(lambda: drills(scene)[0]["instanceId"], minutes=5)


def ec2_of(scene, instance_id):
    return scene.world.ec2.world.machines[InstanceId(instance_id)]


def volumes_of_clones(scene):
    return [v for v in scene.world.ec2.inventory().volumes if v.tags.get("spotguard:purpose") == "drill"]


def certificate(scene):
    return scene.get(f"/api/client/agents/{scene.agent().id}")["restoreCertificate"]


def test_it_boots_is_healthy_and_is_gone_again_and_the_certificate_says_so(scene):
    point = with_a_point(scene)
    before = scene.agent()
    began = begin(scene, "restore")["drill"]
    assert (began["status"], began["imageId"]) == ("waiting", point["imageId"])

    drill = ended(scene, minutes=30)
    assert drill["status"] == "passed"
    assert 0 < drill["seconds"] < 900
    assert drill["stateAgeSeconds"] > 0
    assert ec2_of(scene, drill["instanceId"]).state is InstanceState.TERMINATED
    assert volumes_of_clones(scene) == []
    after = scene.agent()
    assert (after.epoch, after.instance_id) == (before.epoch, before.instance_id)

    scene.wait(hours=9, minutes=5)
    told = certificate(scene)
    assert told["proven"]
    assert told["text"].startswith(f"proven 9 h ago: {round(drill['seconds'])} s, image ")
    assert told["text"].endswith(f"lies on /dev/sdf, as that of {after.instance_id}")
    assert "; its probe succeeded; " in told["text"]
    assert not orphans_of(scene.world)
    scene.world.settle()
    assert judge(scene.world).broken == []


def test_no_client_ever_reaches_the_clone(scene):
    with_a_point(scene)
    register = scene.world.registers["web-1"]
    begin(scene, "restore")
    clone = clone_of(scene)
    assert ended(scene, minutes=30)["status"] == "passed"  # it served its probe
    assert clone not in {session.instance_id for session in register.sessions}
    assert register.serving() == [scene.agent().instance_id]
    assert (register.overlaps, register.losses) == ([], [])


def test_the_clone_has_no_public_address_no_profile_and_its_own_security_group(scene):
    with_a_point(scene, quarantineGroup="sg-0123456789abcdef0")
    begin(scene, "restore")
    clone = clone_of(scene)
    scene.until(lambda: scene.instance(clone).ec2_state == "running", minutes=5)
    shape = scene.world.ec2.describe_shape(InstanceId(clone))
    assert shape.security_groups == ("sg-0123456789abcdef0",)
    assert shape.instance_profile is None
    assert shape.owner_tags == {}
    assert shape.metadata.tokens_required


def test_it_can_never_become_primary(scene):
    with_a_point(scene)
    begin(scene, "restore")
    clone = clone_of(scene)
    scene.until(lambda: scene.instance(clone).boot_id, minutes=20)
    dead = scene.agent()
    scene.world.ec2.controls.fail_instance(dead.instance_id)

    def grant(tx):
        held = grants.holder(tx, dead.id)
        assert not moves.can_serve(tx, clone)
        return grants.grant(
            tx,
            scene.world.clock.now(),
            agent_id=dead.id,
            seen_epoch=held.epoch,
            to_instance=clone,
            proof=Proof.DEAD,
            switch_id=None,
            because="a wrong one",
        )

    scene.until(lambda: scene.world.db.read(lambda tx: grants.is_dead(tx, dead.instance_id)), minutes=5)
    assert scene.world.db.write(grant) is False
    scene.until(lambda: scene.agent().epoch > dead.epoch, minutes=40)
    assert scene.agent().instance_id != clone
    process = scene.world.processes.get(clone)
    assert process is None or process.agent.desk.primacy.held is None


def test_one_that_does_not_become_healthy_is_a_certificate_that_says_why_and_is_cleared_too(scene):
    with_a_point(scene)
    begin(scene, "restore")
    clone = clone_of(scene)
    scene.world.ec2.controls.fail_instance(clone)
    drill = ended(scene, minutes=60)
    assert drill["status"] == "failed"
    assert "has ended before it was healthy" in drill["because"]
    assert not certificate(scene)["proven"]
    assert "failed" in certificate(scene)["text"]
    assert volumes_of_clones(scene) == []
    assert any(
        e["kind"] == "drill_failed"
        for e in scene.get(f"/api/client/agents/{scene.agent().id}/events")["items"]
    )


def test_one_whose_state_lies_elsewhere_than_who_serves_has_it_is_no_proof(scene):
    """As where its volume is not there, and the workload starts with the empty folder below the mount point."""
    with_a_point(scene)
    begin(scene, "restore")
    clone, processes = clone_of(scene), scene.world.processes
    here = sa.update(instances).where(instances.c.id == scene.agent().instance_id)
    scene.world.db.write(lambda tx: tx.execute(here.values(state_on_root=True)))
    scene.until(lambda: clone in processes, minutes=10)
    object.__setattr__(processes[clone].agent.desk.ports, "state_on_root", lambda: False)
    drill = ended(scene, minutes=60)
    assert drill["status"] == "failed"
    assert "the disk that it boots from" in drill["because"]


def test_the_schedule_starts_nothing_beside_who_serves_in_his_own_groups_and_says_so_once(scene):
    """A second worker of his queue would take jobs from it, and end with them."""
    with_a_point(scene, restoreDrillDays=1)
    scene.wait(hours=3)
    assert drills(scene) == []
    told = scene.get(f"/api/client/agents/{scene.agent().id}/events")["items"]
    assert ["quarantineGroup" in e["message"] for e in told if e["kind"] == "restore_drill"] == [True]
    scene.configure(quarantineGroup="sg-0123456789abcdef0")
    assert ended(scene, minutes=40)["createdBy"] == "coordinator"


@pytest.mark.long
def test_the_schedule_rehearses_by_itself_and_zero_days_never(scene):
    with_a_point(scene, quarantineGroup="sg-0123456789abcdef0")
    scene.wait(hours=2)
    assert drills(scene) == []
    scene.configure(restoreDrillDays=1)
    first = ended(scene, minutes=40)
    assert (first["createdBy"], first["status"]) == ("coordinator", "passed")
    scene.wait(hours=20)
    assert len(drills(scene)) == 1
    scene.wait(hours=5)
    assert len(drills(scene)) == 2


def test_it_refuses_with_what_to_do_and_a_dry_run_shows_what_it_would_cost(scene):
    assert "set restorePointHours" in refusal(scene, "restore")
    point = with_a_point(scene)
    plan = begin(scene, "restore", dry_run=True)
    assert plan["restore"]["imageId"] == point["imageId"]
    assert float(plan["restore"]["usdPerHour"]) > 0
    assert drills(scene) == []
    scene.configure(maxHourlyUsd="0.000001")
    assert "cap" in refusal(scene, "restore")
    scene.configure(maxHourlyUsd=None)
    begin(scene, "restore")
    assert "under way" in refusal(scene, "restore")


def test_two_coordinators_that_look_at_once_ask_the_clone_once(scene):
    with_a_point(scene)
    begin(scene, "restore")
    clone = clone_of(scene)
    world = scene.world
    scene.until(lambda: scene.instance(clone).ec2_state == "running", minutes=5)
    drill_id = drills(scene)[0]["id"]
    seen = world.db.read(lambda tx: drill_rows.get(tx, drill_id))
    assert seen.command_id is None
    scene.until(lambda: scene.instance(clone).hears, minutes=20)
    for _ in range(2):
        RestoreDrills(world.seats[0].coordinator.ctx).carry_on(world.clock.now(), seen)
    assert [row.command_type for row in scene.commands()].count("drill") == 1
    assert ended(scene, minutes=30)["status"] == "passed"


def test_the_kill_switch_ends_a_clone_that_runs(scene):
    with_a_point(scene)
    begin(scene, "restore")
    clone_of(scene)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "scope": "client", "reason": "a holiday"})
    drill = ended(scene, minutes=20)
    assert drill["status"] == "failed"
    assert "kill switch" in drill["because"]
    assert volumes_of_clones(scene) == []


def test_an_interruption_meanwhile_is_handed_over_as_ever(scene):
    on_spot(scene)
    with_a_point(scene)
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=15)
    begin(scene, "restore")
    clone_of(scene)
    scene.world.ec2.controls.interrupt(InstanceId(scene.agent().instance_id))
    scene.until(lambda: scene.agent().instance_id == standby.instance_id, minutes=3)
    assert ended(scene, minutes=40)["status"] == "passed"
    scene.assert_no_record_lost_or_doubled()


def test_a_lost_answer_to_the_launch_makes_no_second_clone_and_leaves_none(scene):
    with_a_point(scene)
    scene.world.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    begin(scene, "restore")
    assert ended(scene, minutes=40)["status"] == "passed"
    clones = [row for row in scene.all_instances() if row.drill_id is not None]
    assert len(clones) == 1
    assert not orphans_of(scene.world)


def test_one_that_is_stopped_before_its_launch_was_answered_is_looked_for_and_ended(scene):
    with_a_point(scene)
    scene.world.ec2.faults.sometimes("run_instance", 1.0, after_effect=True)
    begin(scene, "restore")
    scene.wait(seconds=2)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "scope": "client", "reason": "a holiday"})
    assert ended(scene, minutes=40)["status"] == "failed"
    scene.world.ec2.faults.clear()
    scene.wait(minutes=10)
    assert [row.id for row in scene.all_instances() if row.drill_id is not None and row.is_active] == []
    assert volumes_of_clones(scene) == []
    assert not orphans_of(scene.world)


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clone_whose_clock_is_wrong_is_judged_by_the_servers(hours):
    scene = Scene(executor=Executor.AGENT, troubled=True)
    with_a_point(scene)
    begin(scene, "restore")
    scene.world.trouble_of(clone_of(scene)).clock_ahead = timedelta(hours=hours)
    assert ended(scene, minutes=60)["status"] == "passed"
    scene.close()
