"""Whoever is given a role, or the epoch again, while its end is being prepared is not ended."""

import pytest

from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.domain.agents import Executor
from spotguard.domain.epochs import Proof
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.store import grants
from spotguard.store.invariant_moves import ENDS_OLD
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.strays import machine_of_an_unknown_launch, stray_machine


class Slow:
    """EC2 answers the look at an instance only after something else has happened."""

    def __init__(self, ec2):
        self._ec2, self.meanwhile = ec2, {}

    def describe_instances(self, ids=(), **more):
        for instance_id in list(ids):
            self.meanwhile.pop(instance_id, lambda: None)()
        return self._ec2.describe_instances(ids, **more)

    def __getattr__(self, name):
        return getattr(self._ec2, name)


@pytest.fixture
def scene():
    scene = Scene(executor=Executor.SERVER)
    scene.agent_id = scene.protect(pool=A)
    scene.run(60)
    scene.cloud = Slow(scene.ec2)
    settings = CoordinatorSettings(installation="story", name="slow")
    scene.coordinator = Coordinator(
        scene.db, lambda _client: scene.cloud, scene.clock, settings, scene.wakeup
    )
    return scene


def is_granted(scene, made):
    """By another coordinator, in the same seconds."""

    def work(tx):
        held = grants.holder(tx, scene.agent_id)
        grants.release(tx, scene.now, scene.agent_id, held.epoch, InstanceId(held.instance_id), scene.now)
        return grants.grant(
            tx,
            scene.now,
            agent_id=scene.agent_id,
            seen_epoch=held.epoch,
            to_instance=made,
            proof=Proof.RELEASED,
            switch_id=None,
            because="it follows",
        )

    assert scene.db.write(work)


@pytest.mark.parametrize("has_followed", [True, False])
def test_a_machine_that_was_granted_the_epoch_while_ec2_was_asked_whose_it_is_lives_on(scene, has_followed):
    made = stray_machine(scene, scene.agent_id)
    asked = []
    scene.cloud.meanwhile[made] = lambda: asked.append(has_followed and is_granted(scene, made))
    scene.run(900, until=lambda: asked)
    scene.run(120)
    ended = scene.rows(agent_events, agent_events.c.kind == "instance_ended_by_us")
    assert asked
    assert [row.detail["instance_id"] for row in ended] == ([] if has_followed else [made])
    assert (made in scene.running()) is has_followed


def test_an_old_instance_that_is_given_the_epoch_again_while_ec2_was_asked_whose_it_is_lives_on(scene):
    old, opened = InstanceId(scene.serving(scene.agent_id)), scene.switch(scene.agent_id, B)
    scene.run(1200, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    asked, observed_at = [], []

    def looked_at():
        if scene.now in observed_at:  # the second look of one pass: observation was the first
            asked.append(is_granted(scene, old))
        else:
            observed_at.append(scene.now)
            scene.cloud.meanwhile[old] = looked_at

    scene.cloud.meanwhile[old] = looked_at
    scene.run(3600, until=lambda: asked)
    scene.run(120)
    assert asked
    assert old in scene.running()
    assert scene.rows(agent_events, agent_events.c.kind == ENDS_OLD) == []


def test_what_was_launched_after_the_backup_that_was_restored_is_left_to_a_person(scene):
    """Its launch and its grant are not in these rows: it may be the one that serves (invariant 7)."""
    made = machine_of_an_unknown_launch(scene, scene.agent_id)
    scene.run(900)
    assert made in scene.running()
    (told,) = scene.rows(agent_events, agent_events.c.kind == "needs_person")
    assert (told.detail, "older backup" in told.message) == ({"instance_id": made}, True)
