"""GET /leftovers: what nothing needs, of this tenant alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import PROVEN_CHECKS
from spotguard.domain.clock import rfc3339
from spotguard.domain.ids import AgentId, ClientId
from spotguard.planning.cleaning import DELETED, SEEN_TWICE
from spotguard.store import events
from spotguard.store.tables import instances, storage_resources
from tests.api.world import Machine, Tenant, World


def stray(world: World, machine: Machine, resource_id: str, **values: Any) -> None:
    row = {
        "id": resource_id,
        "client_id": machine.tenant.id,
        "agent_id": machine.agent_id,
        "kind": "volume",
        "size_gib": 10,
        "state": "available",
        "last_attached_to": "i-0123456789abcdef0",
        "usd_per_gib_month": Decimal("0.08"),
        "created_at": world.clock.now(),
        "metered_from": world.clock.now(),
    }
    world.write(lambda tx: tx.execute(sa.insert(storage_resources), row | values))


def has_ended(world: World, machine: Machine) -> None:
    """Who had them last."""
    row = {
        "id": "i-0123456789abcdef0",
        "client_id": machine.tenant.id,
        "agent_id": machine.agent_id,
        "is_active": False,
        "created_at": world.clock.now(),
        "updated_at": world.clock.now(),
    }
    world.write(lambda tx: tx.execute(sa.insert(instances), row))


def serves(world: World, machine: Machine) -> None:
    mine = instances.c.id == machine.id
    proven = {"gate": "open", "healthy_streak": PROVEN_CHECKS}
    world.write(lambda tx: tx.execute(sa.update(instances).where(mine).values(**proven)))


def test_what_is_left_over_is_told_with_reasons_and_cost(world: World, acme: Tenant, web: Machine):
    assert acme.get("/leftovers") == {"items": [], "usdPerMonth": "0", "done": []}
    serves(world, web)
    has_ended(world, web)
    stray(world, web, "vol-1")
    stray(world, web, "vol-2", suspect_since=world.clock.now(), usd_per_gib_month=None)
    told = acme.get("/leftovers")
    assert told["usdPerMonth"] == "0.800000"
    new, noted = sorted(told["items"], key=lambda one: one["resourceId"])
    assert (new["suspectSince"], new["mayGoAt"], new["usdPerMonth"]) == (None, None, "0.800000")
    assert noted["suspectSince"] == rfc3339(world.clock.now())
    assert noted["mayGoAt"] == rfc3339(world.clock.now() + SEEN_TWICE)
    assert noted["usdPerMonth"] is None
    assert new["looseBecause"] == "no machine, move, image or agent needs it"


def test_while_nobody_serves_or_nobody_knows_whose_it_was_nothing_goes(
    world: World, acme: Tenant, web: Machine
):
    stray(world, web, "vol-1")
    assert acme.get("/leftovers")["items"] == [], "its agent may need it once more"
    stray(world, web, "vol-2", last_attached_to=None)
    (kept,) = acme.get("/leftovers")["items"]
    assert (kept["resourceId"], kept["mayGoAt"]) == ("vol-2", None)


def test_another_tenant_sees_nothing_of_it(world: World, web: Machine):
    stray(world, web, "vol-1")
    assert world.tenant("Other").get("/leftovers")["items"] == []


def test_what_was_deleted_is_told_for_as_many_hours_as_asked(world: World, acme: Tenant, web: Machine):
    then = world.clock.now()
    client_id, agent_id = ClientId(acme.id), AgentId(web.agent_id)
    world.write(lambda tx: events.append(tx, then, client_id, agent_id, DELETED, "volume vol-1 is deleted"))
    world.clock.pass_seconds(2 * 3600)
    assert acme.get("/leftovers?hours=1")["done"] == []
    (done,) = acme.get("/leftovers?hours=3")["done"]
    assert (done["message"], done["at"]) == ("volume vol-1 is deleted", rfc3339(then))
    assert acme.get("/leftovers")["done"] == [done], "a day, unless asked otherwise"
    assert world.tenant("Other").get("/leftovers")["done"] == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("hours=0", "/query/hours"), ("hours=x", "/query/hours"), ("bogus=1", "/query/bogus")],
)
def test_a_query_that_means_nothing_is_refused(world: World, acme: Tenant, query: str, pointer: str):
    reply = acme.call("GET", f"/leftovers?{query}")
    assert (reply.status, [one["pointer"] for one in reply.body["errors"]]) == (422, [pointer])
    nobody = world.link.call("GET", f"/api/client/leftovers?{query}", token="sgc_nobody", body=None)
    assert nobody.status == 401
