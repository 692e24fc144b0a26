"""The coordinator's loop: it says that it lives, and that it has ended."""

import threading
from datetime import timedelta

import sqlalchemy as sa

from spotguard.coordinator.runner import Runner
from spotguard.store.tables import leases
from tests.coordinator.scene import START, Scene


class Evening(threading.Event):
    """At the first rest the process is told to end; what its lease says then is kept."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.runner: Runner | None = None
        self.alive: list[bool] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert self.runner is not None
        self.alive = [lease.until > self.scene.now for lease in self.scene.rows(leases)]
        self.runner.stop()
        return True


def work_until_evening(scene: Scene, name: str) -> Evening:
    evening = Evening(scene)
    evening.runner = Runner(scene.new_coordinator(name), evening)
    evening.runner.run()
    return evening


def test_who_ends_is_not_alive_any_more():
    scene = Scene()
    evening = work_until_evening(scene, "host:1")
    assert evening.alive == [True]
    (lease,) = scene.rows(leases)
    assert lease.until <= scene.now


def test_who_ended_yesterday_is_forgotten():
    scene = Scene()
    row = {"name": "coordinator:host:0", "holder": "host:0", "epoch": 1, "until": START - timedelta(days=2)}
    scene.db.write(lambda tx: tx.execute(sa.insert(leases), row))
    work_until_evening(scene, "host:1")
    assert [lease.holder for lease in scene.rows(leases)] == ["host:1"]
