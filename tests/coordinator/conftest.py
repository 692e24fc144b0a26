"""The databases that a story may run on, and the scene with its one agent that most begin with."""

import pytest

from tests.coordinator.scene import A, Scene
from tests.support.databases import (
    database,
    mariadb_database,
    mariadb_server,
    migrated_mariadb,
    sqlite_database,
)

__all__ = ["database", "mariadb_database", "mariadb_server", "migrated_mariadb", "sqlite_database"]


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    return agent
