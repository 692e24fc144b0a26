"""A restore point that EC2 refuses to make is told: who relies on it learns that there is none."""

from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, Scene


def test_one_that_may_not_be_made_is_told_to_a_person():
    scene = Scene(executor=Executor.SERVER)
    scene.ec2.faults.sometimes(
        "create_image", 1.0, lambda: NeedsPerson("UnauthorizedOperation", "no such right")
    )
    scene.protect(pool=A, restore_point_hours=1, restore_drill_days=0, auto_switch_enabled=False)
    scene.run(1800)
    told = [e for e in scene.rows(agent_events) if "no such right" in e.message]
    assert len(told) == 1
