"""A ticket that its standby can never use is destroyed when it is asked back, and somebody serves again."""

import pytest

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.tickets import NOTE
from spotguard.simulation.machine import state_of
from tests.primacy.test_both_ends_dead import state
from tests.primacy.test_by_ticket import protected, serving, ticket
from tests.primacy.test_forgotten import status_of


@pytest.fixture
def scene():
    stage = protected()
    yield stage
    stage.close()


def test_one_whose_last_pass_is_lost_is_destroyed_when_its_holder_has_ended(scene):
    """While it is out the dead holder's volume, which has every write, is given to nobody."""
    world, old = scene.world, InstanceId(scene.agent().instance_id)
    standby, issued = InstanceId(scene.ready_replica().instance_id), ticket(scene).id
    world.take_server_away()
    process = world.processes[standby]
    process.stop()
    scene.aws_gives_notice()
    scene.until(lambda: process.disk.read(f"inbox/{NOTE}"), seconds=30)
    state_of(world.ec2, standby).as_of = None  # its inbox was emptied, or a disk is mounted over it
    scene.until(lambda: state(world, old) is InstanceState.TERMINATED, minutes=5)
    process.resume()
    world.bring_server_back()
    scene.wait(minutes=40)
    assert status_of(scene, issued) == "destroyed"
    assert serving(scene)
    scene.assert_no_record_lost_or_doubled()


def test_one_that_came_to_a_standby_under_notice_is_destroyed_before_both_have_ended(scene):
    """Else nobody could say whose volume is newer, and nothing would be started (docs/primacy.md, 7)."""
    world, old = scene.world, InstanceId(scene.agent().instance_id)
    standby, issued = InstanceId(scene.ready_replica().instance_id), ticket(scene).id
    world.take_server_away()
    world.ec2.controls.interrupt(standby, notice_seconds=900)
    scene.wait(seconds=5)
    scene.aws_gives_notice()
    scene.until(lambda: state(world, old) is InstanceState.TERMINATED, minutes=5)
    assert world.processes[standby].disk.read(f"inbox/{NOTE}")
    world.bring_server_back()
    scene.wait(minutes=5)
    assert status_of(scene, issued) == "destroyed"
    scene.wait(minutes=35)
    assert serving(scene)
    scene.assert_no_record_lost_or_doubled()
