"""Somebody takes the tags from a volume (a clean-up of another team, a policy of tags): it is there all the same."""

from spotguard.domain.agents import Executor
from spotguard.domain.switches import MoveKind
from spotguard.planning.switching import STATE_DEVICE
from spotguard.store.tables import storage_resources
from tests.coordinator.scene import A, B, Scene

s = storage_resources.c


def test_a_volume_without_its_tags_has_not_gone_and_a_death_is_recovered_from_it():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    scene.switch(agent, B)
    scene.run(1200)
    holder = scene.serving(agent)
    (state,) = scene.rows(storage_resources, s.attached_to == holder, s.is_ours, s.device == STATE_DEVICE)
    scene.ec2.world.volumes[state.id].tags = {}
    scene.run(1200)
    assert scene.rows(storage_resources, s.id == state.id, s.ended_at.is_not(None)) == []
    scene.ec2.controls.fail_instance(holder)
    scene.run(1800, until=lambda: scene.serving(agent) != holder and scene.is_open(agent))
    assert scene.last_move(agent).kind == MoveKind.VOLUME
