"""A dead holder with a scratch disk beside its state: the state's volume is looked at, and none is judged by another.

What no look has compared is kept until a person deletes it.
"""

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import ClientToken, InstanceId, VolumeId
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import VolumeState
from spotguard.simulation.audit import judge, orphans_of
from spotguard.store.tables import instances
from tests.stories.test_salvage import dies_unheard, lost_state, standing_by, told, volume

SCRATCH = "/dev/sdb"


@pytest.fixture
def holder(scene):
    """Launched by a move, so that its volumes are deleted in their time. Its user's disk comes before the state's."""
    scene.configure(terminateWaitSeconds=60)
    scene.order_move(in_its_zone=False)
    scene.until(lambda: scene.switches() and scene.switches()[-1].status == "completed", minutes=90)
    row, ec2 = scene.agent(), scene.world.ec2
    spare = ec2.create_volume(ClientToken("t" * 32), row.az, 8, {})
    scene.wait(minutes=2)
    ec2.attach_volume(spare, InstanceId(row.instance_id), SCRATCH)
    scene.wait(minutes=15)
    standing_by(scene, in_its_zone=True)
    return row


def unsaid(scene, instance_id):
    """As by an agent that cannot tell on which volumes its state lies."""
    silent = sa.update(instances).where(instances.c.id == instance_id).values(state_volumes=None)
    scene.world.db.write(lambda tx: tx.execute(silent))


def looked(scene):
    return scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=60)


def is_there(scene, volume_id):
    shown = scene.world.ec2.describe_volumes([VolumeId(volume_id)])
    return [one.state for one in shown] == [VolumeState.AVAILABLE]


def plans(scene):
    return {one["resourceId"]: one["plan"] for one in scene.get("/api/client/leftovers")["items"]}


def events_of(scene, kind):
    return " ".join(event.message for event in scene.events(kind))


@pytest.mark.long
def test_the_volume_of_the_state_is_looked_at_and_not_the_first_by_its_device(scene, holder):
    volumes = dies_unheard(scene)
    found = looked(scene)
    assert found["volumeId"] == volumes[STATE_DEVICE]
    assert found["files"] == scene.world.registers["web-1"].losses[-1].count > 0
    (message,) = told(scene)
    others = message.split("not looked at: ")[1].split(", on which the state does not lie")[0]
    assert volumes[SCRATCH] in others
    assert volumes[STATE_DEVICE] not in others
    assert found["keptUntil"] > found["completedAt"]
    assert f"until {found['keptUntil'][:19].replace('T', ' ')} UTC" in message
    assert "then deleted" in message
    scene.wait(hours=25)
    assert not is_there(scene, volumes[STATE_DEVICE]), "compared, offered for a day, and deleted"
    scene.world.settle()
    assert judge(scene.world).broken == []
    assert not orphans_of(scene.world)


def test_while_it_is_looked_at_it_is_listed_as_that_and_nobody_is_told_that_it_stays_for_good(scene, holder):
    volumes = dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "attached", minutes=30)
    assert "looked at" in plans(scene)[volumes[STATE_DEVICE]]
    looked(scene)
    assert "until 2026-" in plans(scene)[volumes[STATE_DEVICE]]
    assert volumes[STATE_DEVICE] not in events_of(scene, "leftover_found")


@pytest.mark.long
def test_where_nobody_said_which_of_several_holds_it_none_is_judged_and_all_are_kept_for_a_person(
    scene, holder
):
    volumes = dies_unheard(scene)
    unsaid(scene, holder.instance_id)
    found = looked(scene)
    assert (found["status"], found["volumeId"], found["files"]) == ("failed", None, None)
    assert "not known on which of" in found["because"]
    (message,) = told(scene)
    assert volumes[SCRATCH] in message
    assert volumes[STATE_DEVICE] in message
    assert "kept until a person deletes" in message
    assert "until a person deletes it" in plans(scene)[volumes[STATE_DEVICE]]
    scene.wait(hours=49)
    assert is_there(scene, volumes[STATE_DEVICE]), "it has the only copy of what was lost"
    assert volumes[STATE_DEVICE] not in events_of(scene, "leftover_deleted")
    assert scene.switches()[-1].status == "completed"
    assert not orphans_of(scene.world)


def test_the_only_volume_is_looked_at_whoever_said_nothing(scene):
    standing_by(scene, in_its_zone=True)
    dead = scene.agent().instance_id
    volumes = dies_unheard(scene)
    unsaid(scene, dead)
    assert (looked(scene)["status"], looked(scene)["volumeId"]) == ("offered", volumes[STATE_DEVICE])


@pytest.mark.long
def test_a_state_on_several_volumes_is_not_judged_by_one_of_them(scene, holder):
    volumes = dies_unheard(scene)
    both = f"{volumes[SCRATCH]},{volumes[STATE_DEVICE]}"
    said = sa.update(instances).where(instances.c.id == holder.instance_id).values(state_volumes=both)
    scene.world.db.write(lambda tx: tx.execute(said))
    assert "lies on several volumes" in looked(scene)["because"]
    scene.wait(hours=26)
    assert is_there(scene, volumes[STATE_DEVICE])


@pytest.mark.long
def test_a_volume_whose_look_was_called_off_is_kept_for_a_person(scene, holder):
    volumes = dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "copying", minutes=20)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "scope": "client", "reason": "a holiday"})
    assert looked(scene)["status"] == "failed"
    scene.put("/api/client/kill-switch", {"level": "none", "scope": "client", "reason": "it is over"})
    (message,) = told(scene)
    assert f"{volumes[STATE_DEVICE]} of the dead instance could not be compared" in message
    assert "kept until a person deletes" in message
    scene.wait(hours=26)
    assert is_there(scene, volumes[STATE_DEVICE])
    assert not orphans_of(scene.world)


@pytest.mark.long
def test_a_look_that_nobody_let_begin_within_the_day_is_told_and_nothing_is_deleted(scene, holder):
    volumes = dies_unheard(scene)
    scene.put("/api/client/kill-switch", {"level": "voluntary", "scope": "client", "reason": "a holiday"})
    scene.wait(hours=26)
    assert lost_state(scene)["status"] == "failed"
    assert "kill switch" in lost_state(scene)["because"]
    assert len(told(scene)) == 1
    assert is_there(scene, volumes[STATE_DEVICE])


@pytest.mark.long
def test_a_disk_that_the_instance_boots_from_is_not_compared_and_kept_where_the_state_lies_on_it(
    scene, holder
):
    scene.world.db.write(
        lambda tx: tx.execute(
            sa.update(instances).where(instances.c.id == holder.instance_id).values(state_on_root=True)
        )
    )
    volumes = dies_unheard(scene)
    assert "on the disk that it booted from" in looked(scene)["because"]
    (root,) = (v for device, v in volumes.items() if device not in (SCRATCH, STATE_DEVICE))
    assert root in told(scene)[0]
    scene.wait(hours=26)
    assert volume(scene, root).state is VolumeState.AVAILABLE


@pytest.mark.long
def test_what_is_kept_for_a_person_stays_kept_when_he_has_looked_into_it(scene, holder):
    """Attached to whom it was not kept for, and detached again, it is no leftover of that one's next move."""
    volumes = dies_unheard(scene)
    unsaid(scene, holder.instance_id)
    assert looked(scene)["status"] == "failed"
    lost, ec2 = volumes[STATE_DEVICE], scene.world.ec2
    scene.wait(hours=26)
    primary = InstanceId(scene.agent().instance_id)
    ec2.attach_volume(VolumeId(lost), primary, "/dev/sdz")
    scene.wait(minutes=20)
    ec2.detach_volume(VolumeId(lost), primary)
    scene.until(lambda: scene.volume_row(lost).attached_to is None, minutes=90)
    assert "kept" in plans(scene)[lost]
    # as one of its own that it lost
    scene.until(lambda: scene.volume_row(lost).attached_to == primary, minutes=15)
    scene.configure(allowedAzs=[], manualReplicaEnabled=True)
    scene.order_move(in_its_zone=False)
    scene.wait(hours=4)
    assert scene.agent().instance_id != primary
    assert is_there(scene, lost)
