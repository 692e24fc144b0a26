"""Which looks a fleet would gain by: the same sums however large it is."""

import time
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.engine.forecast import Prospect
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.store import looks, probe_orders, tenants
from tests.engine.market import NOW

SEEN_AT = NOW - timedelta(hours=1)


def market(count):
    pools = [Pool(f"m5.{n}xlarge", "us-east-1a") for n in range(count)]
    return [
        PoolAssessment(pool, Decimal("0.03") + Decimal(n) / 100_000, 1.0, None, None, None, True, "allowed")
        for n, pool in enumerate(pools)
    ]


def on_demand(name, pools, minute_value_usd="2", ami_id="ami-1"):
    """One workload with a minute so dear that it takes no pool which it does not know."""
    agent = SimpleNamespace(
        id=name,
        ami_id=ami_id,
        minute_value_usd=Decimal(minute_value_usd),
        terminate_wait_seconds=1800,
        risk_threshold=Decimal(1),
        max_hourly_usd=None,
    )
    situation = SimpleNamespace(
        mode=Mode.ONDEMAND,
        present_pool=None,
        present_usd=Decimal("0.1"),
        ondemand_usd=Decimal("0.1"),
        pools=pools,
        min_savings_percent=Decimal(0),
        forced_stay=False,
    )
    return agent, situation


@pytest.fixture
def wanted():
    db = TroubledDatabase.fresh()
    client_id, _ = db.write(lambda tx: tenants.create_client(tx, NOW, "us"))

    def ask(found, pools, seen=()):
        known = {one.pool.id: Prospect(1e-4, 0.0006, 1.0) for one in pools}

        def work(tx):
            for one in seen:
                looks.note(tx, SEEN_AT, client_id, one.pool, up=True, because="a look")
            return probe_orders.lookables(tx, NOW, client_id, found, known)

        return db.write(work)

    yield ask
    db.dispose()


def test_what_all_gain_is_added_up_who_gains_most_launches_and_who_has_no_image_cannot(wanted):
    pools = market(2)
    alone = wanted([on_demand("web", pools)], pools)
    both = wanted(
        [on_demand("web", pools), on_demand("db", pools, "3"), on_demand("x", pools, "9", None)], pools
    )
    assert [(one.pool, one.agent_id) for one in alone] == [(one.pool, "web") for one in pools]
    assert [one.worth_usd for one in both] > [one.worth_usd for one in alone]
    assert wanted([on_demand("x", pools, ami_id=None)], pools) == wanted([], pools) == []


def test_who_wants_to_know_first_is_waited_for(wanted):
    pools = market(1)
    patient, eager = (on_demand(name, pools, usd) for name, usd in (("patient", "4"), ("eager", "1")))
    dues = [wanted(found, pools, pools)[0].due_at for found in ([patient], [eager], [patient, eager])]
    assert SEEN_AT < dues[2] == min(dues[:2]) < max(dues[:2])


def test_many_agents_and_pools_take_no_longer_than_their_arrays(wanted):
    """5,000 agents × 500 pools have to fit into a pass: here a twenty-fifth of it, in a tenth of its second."""
    pools = market(500)
    found = [on_demand(f"web-{n}", pools, f"2.{n}") for n in range(200)]
    began = time.process_time()
    told = wanted(found, pools, pools[::2])
    assert len(told) == 50
    assert time.process_time() - began < 2, "4.6 s when each pool of each agent was looked for in a list"
