"""Ending: only what is ours, again is harmless, an absent id proves nothing."""

import pytest

from spotguard.domain.errors import Doubtful, Refused
from spotguard.domain.instances import InstanceState
from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG
from spotguard.execution.ending import Done, Later, delete_volumes, end_instance, leftovers_of
from spotguard.ports.cloud import BlockDevice
from tests.cloud.scene import Scene

OURS = {AGENT_TAG: "agent-1"}


@pytest.mark.parametrize("tags", [OURS, {ADOPTED_TAG: "agent-1"}])
def test_what_is_ours_ends_and_again_is_harmless(tags):
    scene = Scene()
    machine = scene.running(tags=tags)
    assert isinstance(end_instance(scene.ec2, machine, "agent-1"), Done)
    assert isinstance(end_instance(scene.ec2, machine, "agent-1"), Done)
    scene.wait(60)
    assert scene.see(machine).state is InstanceState.TERMINATED


@pytest.mark.parametrize("tags", [{}, {AGENT_TAG: "agent-2"}, {"Name": "agent-1"}])
def test_what_is_not_ours_is_refused(tags):
    scene = Scene()
    machine = scene.running(tags=tags)
    with pytest.raises(Refused):
        end_instance(scene.ec2, machine, "agent-1")
    assert scene.see(machine).state is InstanceState.RUNNING


def test_no_clear_answer_means_later():
    scene = Scene()
    machine = scene.running(tags=OURS)
    scene.ec2.faults.next("describe_instances", Doubtful("RequestTimeout"))
    assert isinstance(end_instance(scene.ec2, machine, "agent-1"), Later)
    assert isinstance(end_instance(scene.ec2, "i-0123456789abcdef0", "agent-1"), Later)


def test_its_volumes_go_when_they_are_free_and_carry_our_tag():
    scene = Scene()
    machine = scene.running(tags=OURS, devices=[BlockDevice("/dev/sdf", 5)])
    left = leftovers_of(scene.see(machine), "agent-1")
    assert len(left) == 1
    assert leftovers_of(scene.see(machine), "agent-2") == ()
    end_instance(scene.ec2, machine, "agent-1")
    assert isinstance(delete_volumes(scene.ec2, left, OURS), Later)
    scene.wait(60)
    assert isinstance(delete_volumes(scene.ec2, left, {AGENT_TAG: "agent-2"}), Done)
    assert len(scene.ec2.describe_volumes(left)) == 1, "another's tag: left alone"
    assert isinstance(delete_volumes(scene.ec2, left, OURS), Done)
    assert scene.ec2.describe_volumes(left) == ()


def test_what_is_attached_for_a_look_is_not_left_by_it():
    """Though it carries our tag: a dead holder's volume may be the only copy of what a standby was missing."""
    scene = Scene()
    machine = scene.running(tags=OURS, devices=[BlockDevice("/dev/sdf", 5), BlockDevice(SALVAGE_DEVICE, 5)])
    left = leftovers_of(scene.see(machine), "agent-1")
    (own,) = (volume.volume_id for volume in scene.see(machine).volumes if volume.device == "/dev/sdf")
    assert left == (own,)
