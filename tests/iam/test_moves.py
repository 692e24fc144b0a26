"""Everything that the moves do, done with the policies of `spotguard iam policy` and nothing else, over the wire.

moto enforces the actions; every call is judged besides, with its resources, tags and conditions, by the same policies.
"""

import pytest

from spotguard.domain.agents import Executor
from spotguard.simulation.audit import orphans_of
from tests.iam.scene import EnforcedScene, lent_environment


def tour(executor):
    """One workload for each thing that can be done to it."""
    scene = EnforcedScene(agents=6, executor=executor)
    for name in ("web-1", "db-1", "queue-1", "build-1", "cache-1", "mail-1"):
        scene.configure(name, terminateWaitSeconds=0)
    scene.move("web-1", "synced")
    scene.move("db-1", "volume")
    scene.move("queue-1", "image")
    for name in ("web-1", "db-1", "queue-1"):
        scene.until(lambda name=name: scene.is_through(name), minutes=90)

    scene.configure("build-1", manualReplicaEnabled=True)
    standby = scene.until(lambda: scene.ready_replica("build-1"), minutes=25)
    scene.post(f"/api/agents/{scene.agent('build-1').id}/replicas/{standby.id}/promote", {})
    scene.until(lambda: scene.agent("build-1").instance_id == standby.instance_id, minutes=5)
    scene.until(lambda: scene.ready_replica("build-1"), minutes=25)
    scene.configure("build-1", manualReplicaEnabled=False)

    scene.configure("web-1", restorePointHours=1, restorePointsKept=1)
    dead = scene.dies("cache-1")
    scene.until(lambda: scene.agent("cache-1").instance_id != dead, minutes=20)
    scene.until(lambda: scene.is_through("cache-1"), minutes=30)
    scene.nothing_in_the_zone_of("mail-1")
    dead = scene.dies("mail-1")
    scene.until(lambda: scene.agent("mail-1").instance_id != dead, minutes=40)
    scene.until(lambda: scene.is_through("mail-1"), minutes=30)
    scene.wait(hours=1, minutes=45)
    return scene


@pytest.fixture(scope="module", params=[Executor.SERVER, Executor.AGENT], ids=str)
def toured(request):
    with lent_environment():
        scene = tour(request.param)
        yield scene
        scene.close()


def test_print(toured):
    for r, c in toured.witness.called.items():
        print(r, c)
    for r, c in toured.witness.used.items():
        print(r, c)
    print(len(toured.witness.refused))
    for r in toured.witness.refused[:10]:
        print(r)
    print(
        [
            (n, toured.switches(n)[-1].kind, toured.switches(n)[-1].status)
            for n in ("web-1", "db-1", "queue-1", "build-1", "cache-1", "mail-1")
        ]
    )
    print(orphans_of(toured.world))
    assert 0
