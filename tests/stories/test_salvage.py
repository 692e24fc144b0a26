"""After an unheard death: what the dead one's volume has that the promoted standby lacks is told, and offered."""

from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.ports.cloud import VolumeState
from spotguard.simulation.audit import judge, orphans_of


def lost_state(scene):
    return scene.get(f"/api/client/agents/{scene.agent().id}")["lostState"]


def told(scene):
    events = scene.get(f"/api/client/agents/{scene.agent().id}/events")["items"]
    return [event["message"] for event in events if event["kind"] == "lost_state"]


def standing_by(scene, *, in_its_zone):
    """A ready standby in the primary's zone or in another one."""
    az = scene.agent().az
    zones = [az] if in_its_zone else [f"{az[:-1]}{letter}" for letter in "abc" if letter != az[-1]]
    scene.configure(allowedAzs=zones, manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=15)
    scene.wait(minutes=5)
    assert (standby.az == az) is in_its_zone
    return standby


def dies_unheard(scene):
    dead = scene.agent().instance_id
    machine = scene.world.ec2.world.machines[InstanceId(dead)]
    volumes = {volume.device: volume.volume_id for volume in machine.volumes.values()}
    scene.world.ec2.controls.fail_instance(InstanceId(dead))
    scene.until(lambda: scene.agent().instance_id != dead, minutes=10)
    return volumes


def volume(scene, volume_id):
    return scene.world.ec2.describe_volumes([VolumeId(volume_id)])[0]


def test_the_volume_is_compared_on_the_new_primary_and_taken_away_again(scene):
    standing_by(scene, in_its_zone=True)
    dead = scene.agent().instance_id
    volumes = dies_unheard(scene)
    found = scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=20)
    assert found["status"] == "offered"
    loss = scene.world.registers["web-1"].losses[-1]
    assert found["files"] == loss.count > 0
    assert found["bytes"] == loss.count * 64 * 1024
    assert found["newestAt"] is not None
    assert found["volumeId"] in volumes.values()
    kept = volume(scene, found["volumeId"])
    assert (kept.state, kept.attached_to) == (VolumeState.AVAILABLE, None)
    (message,) = told(scene)
    assert "nothing is merged by itself" in message

    assert scene.volume_row(found["volumeId"]).last_attached_to == dead, (
        "it is the dead one's in every row, too"
    )
    scene.world.settle()
    assert judge(scene.world).broken == []
    assert not orphans_of(scene.world)


def test_one_in_another_zone_is_kept_and_the_reason_told(scene):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    found = scene.until(lambda: lost_state(scene), minutes=20)
    assert found["status"] == "failed"
    assert "attached in its own zone alone" in found["because"]
    assert volume(scene, found["volumeId"]).attached_to is None
    assert len(told(scene)) == 1


def test_a_move_that_a_user_orders_waits_for_the_look_and_a_death_does_not(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: lost_state(scene), minutes=20)
    row = scene.agent()
    refused = scene.post(
        f"/api/client/instances/{row.instance_id}/force-switch", {"target": "ondemand"}, expect=409
    )
    assert "attached for a look" in refused["detail"]
    scene.world.ec2.controls.fail_instance(InstanceId(row.instance_id))
    scene.until(lambda: scene.agent().instance_id != row.instance_id, minutes=30)
    found = scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=30)
    assert volume(scene, found["volumeId"]).attached_to is None
    register = scene.world.registers["web-1"]
    scene.until(lambda: register.serving() == [scene.agent().instance_id], minutes=5)
