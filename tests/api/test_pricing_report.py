"""Price reports: judged one by one, the good ones kept, nothing poisoned used (invariant 10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.api.market import MarketMemory, time_median
from spotguard.domain.ids import ClientId
from spotguard.store.tables import agents, instances, ondemand_prices, spot_price_snapshots
from tests.api.world import POOL_A, POOL_B, POOL_C, REGION, Machine, Tenant, World


def test_the_specifications_report(world: World, acme: Tenant, web: Machine):
    reply = web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    assert reply.body == {"accepted": 3, "rejected": []}
    agent = acme.agent(web)
    assert (agent["priceUsd"], agent["onDemandUsd"], agent["savingPercent"]) == ("0.031200", "0.041600", 25.0)
    assert world.rows(agents)[0].baseline_ondemand_price == Decimal("0.0416")
    assert world.rows(instances)[0].spot_price == Decimal("0.0312")
    assert world.rows(ondemand_prices)[0].source_client_id == acme.id


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"id": POOL_B, "price": -0.01}, "between 0"),
        ({"id": POOL_B, "price": 0}, "between 0"),
        ({"id": POOL_B, "price": 1e300}, "between 0"),
        ({"id": POOL_B, "price": "NaN"}, "finite"),
        ({"id": POOL_B, "price": "Infinity"}, "finite"),
        ({"id": POOL_B, "price": "0x10"}, "not a price"),
        ({"id": POOL_B, "price": True}, "number"),
        ({"id": POOL_B, "price": None}, "number"),
        ({"id": POOL_B, "price": [1]}, "number"),
        ({"id": POOL_B, "price": 10**40}, "between 0"),
        ({"id": POOL_B}, "number"),
        ({"id": POOL_B, "price": 0.0625}, "on-demand"),
        ({"id": POOL_A, "price": 0.03}, "named before"),
        ({"id": "t3.medium.eu-west-1a", "price": 0.03}, "ap-south-1"),
        ({"id": "t3.medium.atlantis-1a", "price": 0.03}, "not a pool id"),
        ({"id": POOL_B + ":windows", "price": 0.03}, "Linux"),
        ({"id": "t3.medium", "price": 0.03}, "not a pool id"),
        ({"id": f"t3.{'x' * 30}.ap-south-1b", "price": 0.03}, "not a pool id"),
        ({"id": f"t3.medium.ap{'-south' * 5}-1b", "price": 0.03}, "not a pool id"),
        ({"id": 7, "price": 0.03}, "object with id"),
        ({"price": 0.03}, "object with id"),
        ("t3.medium.ap-south-1b", "object with id"),
        (None, "object with id"),
    ],
)
def test_one_bad_item_spoils_no_other(world: World, web: Machine, item: object, reason: str):
    pools = [{"id": POOL_A, "price": "0.0312"}, item, {"id": POOL_C, "price": 0.03}]
    reply = web.post("pricing-report", {"pools": pools, "on_demand_price": 0.0416})
    assert reply.status == 200, reply
    assert reply.body["accepted"] == 2
    (rejected,) = reply.body["rejected"]
    assert rejected["index"] == 1
    assert reason in rejected["reason"]
    assert {row.pool_id for row in world.rows(spot_price_snapshots)} == {POOL_A, POOL_C}


@pytest.mark.parametrize(("price", "believed"), [(0.00299, 0), (0.003, 1), (0.3, 1), (0.301, 0)])
def test_a_price_far_from_the_days_median_is_not_believed(
    world: World, web: Machine, price: float, believed: int
):
    web.prices({POOL_A: 0.03}, on_demand=10)
    world.clock.pass_seconds(3600)
    assert web.prices({POOL_A: price}, on_demand=10).body["accepted"] == believed


def test_the_ondemand_price_itself_is_checked(world: World, web: Machine):
    for price in (-1, 0, "NaN", 1e9, True, {}):
        assert web.prices({POOL_A: 0.03}, on_demand=price).status == 422
    assert not world.rows(spot_price_snapshots), "nothing half-applied"
    assert web.post("pricing-report", {"pools": [{"id": POOL_A, "price": 0.03}]}).body["accepted"] == 1


def test_times(world: World, web: Machine):
    assert web.prices({POOL_A: 0.03}, observed_at=world.ago(-299)).body["accepted"] == 1
    (row,) = world.rows(spot_price_snapshots)
    assert row.captured_at == world.clock.now(), "no price is of the future"
    assert web.prices({POOL_A: 0.03}, observed_at=world.ago(-301)).status == 422
    old = web.prices({POOL_A: 0.03, POOL_B: 0.03}, observed_at=world.ago(8 * 86400)).body
    assert old["accepted"] == 0
    assert len(old["rejected"]) == 2
    for wrong in ("yesterday", "2026-03-01T12:00:00", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", ""):
        assert web.prices({POOL_A: 0.03}, observed_at=wrong).status == 422


def test_at_most_200_pools(web: Machine):
    pools = [{"id": POOL_A, "price": 0.03}] * 201
    reply = web.post("pricing-report", {"pools": pools})
    assert reply.status == 422
    assert reply.body["errors"][0]["pointer"] == "/pools"


def test_a_tenants_prices_are_its_own(world: World, acme: Tenant, web: Machine):
    other = world.tenant("Other")
    theirs = world.register(other, "web", number=900)
    web.prices({POOL_A: 0.03, POOL_B: 0.02})
    seen = other.get(f"/instances/{theirs.id}/pricing")
    assert all(pool["price"] is None for pool in seen["pools"])
    assert seen["onDemand"] is None
    assert other.get(f"/pools/{POOL_A}/prices")["points"] == []
    assert all(pool["price"] is None for pool in other.get("/pools")["items"])
    assert [p["price"] for p in acme.get("/pools")["items"]] == ["0.030000", "0.020000"]


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
steps = st.lists(
    st.tuples(st.integers(0, 86_399), st.integers(1, 9)),
    min_size=1,
    max_size=8,
    unique_by=lambda step: step[0],
)


@given(steps)
def test_the_median_is_the_price_of_half_of_the_time(drawn: list[tuple[int, int]]):
    function = [(NOON + timedelta(seconds=at), Decimal(price)) for at, price in sorted(drawn)]
    end = NOON + timedelta(days=1)
    ends = [at for at, _ in function[1:]] + [end]
    median = time_median(function, NOON, end)
    spans = [(price, (stop - at).total_seconds()) for (at, price), stop in zip(function, ends, strict=True)]
    whole = sum(span for _, span in spans)
    assert sum(span for price, span in spans if price <= median) >= whole / 2
    assert sum(span for price, span in spans if price >= median) >= whole / 2


def test_reports_that_always_name_others_fill_no_memory(world: World, acme: Tenant):
    """Each question is as long as its report: thousands of them would be a gigabyte of a process that serves all."""
    memory, now = MarketMemory(), world.clock.now()
    for number in range(2000):
        types = frozenset({f"t{number}.large", f"m{number}.large"})
        world.read(lambda tx, types=types: memory.ondemand(tx, now, ClientId(acme.id), REGION, types))
    assert sum(map(len, vars(memory).values())) <= 500
