"""The coordinator's loop: it says that it lives, and that it has ended."""

import threading
from datetime import timedelta

import sqlalchemy as sa
import structlog

from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.coordinator.runner import Runner
from spotguard.store.database import Database
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


def test_who_ends_cleanly_is_missed_by_nobody():
    scene = Scene()
    evening = work_until_evening(scene, "host:1")
    assert evening.alive == [True]
    assert scene.rows(leases) == []


def test_who_died_without_a_word_is_shown_for_a_day():
    scene = Scene()
    for holder, hours in (("host:0", 48), ("host:1", 2)):
        row = {"name": f"coordinator:{holder}", "holder": holder, "epoch": 1}
        row["until"] = START - timedelta(hours=hours)
        scene.db.write(lambda tx, row=row: tx.execute(sa.insert(leases), row))
    work_until_evening(scene, "host:2")
    assert [lease.holder for lease in scene.rows(leases)] == ["host:1"]


def test_without_its_database_it_says_one_line_and_comes_again():
    scene = Scene()
    evening = Evening(scene)
    away = Coordinator(
        Database.open("sqlite:////nowhere/at/all.db"),
        lambda _client: None,
        scene.clock,
        CoordinatorSettings(installation="story", name="host:1"),
        scene.wakeup,
    )
    evening.runner = Runner(away, evening)
    with structlog.testing.capture_logs() as lines:
        evening.runner.run()
    (line,) = (line for line in lines if line["log_level"] == "error")
    assert (line["event"], "exc_info" in line) == ("no pass: the database cannot serve", False)
