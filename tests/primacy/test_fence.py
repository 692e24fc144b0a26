"""Opt-in: a primary that hangs is ended with its volumes kept, and only when EC2 shows its end it is replaced (B4)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.store.tables import epoch_grants
from tests.primacy.test_by_ticket import protected, serving

MINUTES = 5


@pytest.fixture
def scene():
    stage = protected(troubled=True)
    yield stage
    stage.close()


def hang(scene, *, seen_by_ec2=True):
    """The machine runs, and nothing on it does: neither the agent nor the line. Its client waits for an answer."""
    primary = InstanceId(scene.agent().instance_id)
    scene.world.trouble_of(primary).frozen_until = scene.world.clock.now() + timedelta(days=1)
    scene.world.fabric.cut_off.add(primary)
    if seen_by_ec2:
        scene.world.ec2.controls.impair(primary)
    return primary


def state_in_ec2(scene, instance_id):
    return scene.world.ec2.world.machines[instance_id].state


def test_nobody_asked_for_it_and_it_is_left(scene):
    primary = hang(scene)
    scene.wait(minutes=4 * MINUTES)
    assert state_in_ec2(scene, primary) == "running"
    assert scene.agent().instance_id == primary
    assert scene.agent().status == "offline"


def test_it_is_ended_after_that_long_and_replaced_only_after_its_end(scene):
    scene.configure(fenceAfterMinutes=MINUTES)
    primary = hang(scene)
    scene.wait(minutes=MINUTES - 1)
    assert state_in_ec2(scene, primary) == "running"
    scene.until(lambda: scene.events("primary_fenced"), minutes=4)
    assert scene.agent().instance_id == primary, "asking for its end proves nothing"
    scene.until(lambda: scene.agent().instance_id != primary, minutes=20)
    scene.until(lambda: serving(scene) == [scene.agent().instance_id], minutes=5)
    newest = scene.world.db.read(
        lambda tx: tx.execute(sa.select(epoch_grants).order_by(epoch_grants.c.epoch.desc())).first()
    )
    assert newest.proof == "dead"
    scene.wait(minutes=5)
    scene.assert_no_record_lost_or_doubled()  # the volume outlived it


@pytest.mark.parametrize("speaks_for_it", ["its checks pass", "the server hears it", "its standby hears it"])
def test_one_that_is_heard_by_anybody_is_left(scene, speaks_for_it):
    scene.configure(fenceAfterMinutes=MINUTES)
    primary = InstanceId(scene.agent().instance_id)
    if speaks_for_it == "its checks pass":
        hang(scene, seen_by_ec2=False)
    else:
        scene.world.ec2.controls.impair(primary)
    if speaks_for_it == "the server hears it":
        scene.world.fabric.cut_off.add(primary)
    if speaks_for_it == "its standby hears it":
        scene.world.trouble_of(primary).line.request_lost = 1.0
    scene.wait(minutes=4 * MINUTES)
    assert state_in_ec2(scene, primary) == "running"
    assert not scene.events("primary_fenced")
    assert scene.world.registers["web-1"].overlaps == []


@pytest.mark.parametrize("minutes", [0, 2, 1441, 2.5, "5", True])
def test_a_time_that_makes_no_sense_is_refused(scene, minutes):
    scene.post(f"/api/client/agents/{scene.agent().id}/config", {"fenceAfterMinutes": minutes}, expect=422)


def test_null_takes_it_back(scene):
    assert scene.configure(fenceAfterMinutes=5)["fenceAfterMinutes"] == 5
    assert scene.configure(fenceAfterMinutes=None)["fenceAfterMinutes"] is None
