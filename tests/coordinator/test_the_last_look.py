"""Whoever is given a role while its end is being prepared is not ended."""

import pytest

from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.domain.agents import Executor
from spotguard.domain.epochs import Proof
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import Mode
from spotguard.ports.cloud import LaunchRequest
from spotguard.ports.intentions import TOKEN_TAG
from spotguard.store import grants, launch_orders
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, Scene


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


def stray(scene):
    tags = scene.db.read(lambda tx: launch_orders.tags_of(tx, scene.client_id, scene.agent_id, "standby"))
    request = LaunchRequest(
        token=ClientToken("stray"),
        pool=B,
        mode=Mode.SPOT,
        image_id=scene.image,
        tags={**tags, TOKEN_TAG: "stray"},
    )
    made = scene.ec2.run_instance(request).instance_id
    scene.mute.add(made)
    return made


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
    made = stray(scene)
    asked = []
    scene.cloud.meanwhile[made] = lambda: asked.append(has_followed and is_granted(scene, made))
    scene.run(900, until=lambda: asked)
    scene.run(120)
    ended = scene.rows(agent_events, agent_events.c.kind == "instance_ended_by_us")
    assert asked
    assert [row.detail["instance_id"] for row in ended] == ([] if has_followed else [made])
    assert (made in scene.running()) is has_followed
