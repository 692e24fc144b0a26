"""Fixtures of the API's tests."""

import pytest

from tests.api.world import Machine, Tenant, World
from tests.support.databases import (  # noqa: F401 -- fixtures
    database,
    mariadb_database,
    mariadb_server,
    migrated_mariadb,
    sqlite_database,
)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def acme(world: World) -> Tenant:
    return world.tenant("Acme")


@pytest.fixture
def web(world: World, acme: Tenant) -> Machine:
    """The primary of the agent `web`, on spot in zone a."""
    return world.register(acme, "web")


@pytest.fixture
def moving(web: Machine, acme: Tenant) -> Machine:
    """`web` with a market around it and a forced switch to zone b under way: the old half of a move."""
    web.prices({f"t3.medium.ap-south-1{z}": p for z, p in (("a", 0.0312), ("b", 0.0298), ("c", 0.0324))})
    reply = acme.call(
        "POST", f"/instances/{web.id}/force-switch", {"target": "pool", "pool_id": "t3.medium.ap-south-1b"}
    )
    assert reply.status == 202, reply
    return web
