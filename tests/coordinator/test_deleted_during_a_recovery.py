"""An agent that its user deletes while its state is on the way to another instance: he is told where it lies."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.switches import Step
from spotguard.store import deletions, leftover_report
from spotguard.store.tables import switches
from tests.coordinator.scene import A, Scene


@pytest.mark.parametrize("step", [Step.DECIDED, Step.LAUNCHED, Step.VOLUMES_MOVED])
def test_the_volume_with_the_state_is_named_and_stays(step):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(60)
    old = scene.serving(agent)
    volume = scene.volume_at(old)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(600, until=lambda: any(step in scene.steps(move.id) for move in scene.rows(switches)))
    assert scene.serving(agent) == old
    done = scene.db.write(lambda tx: deletions.delete(tx, scene.now, scene.client_id, agent))
    assert volume in [one.row.id for one in done.left], done.because
    scene.run(3600)
    assert volume in {shown.volume_id for shown in scene.ec2.inventory().volumes}
    found = scene.db.read(lambda tx: leftover_report.report(tx, scene.now, scene.client_id))
    assert volume in [one.resource_id for one in found] or step is not Step.VOLUMES_MOVED
    assert scene.running() == set()
