"""Pools and situations for the policy: by hand for stories, by dice for properties."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.engine.rules_v1 import Situation

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOME, NEXT, FAR = (Pool("m6i.large", f"eu-west-1{letter}") for letter in "abc")
BIGGER = Pool("m6i.xlarge", "eu-west-1b")
ONDEMAND_USD = Decimal("0.100000")


def pool(which=NEXT, price="0.040", **known):
    usd = None if price is None else Decimal(price)
    return replace(PoolAssessment(which, usd, 30.0, None, None, None, True, "allowed"), **known)


def on_spot(*pools, present="0.050", **known):
    """Serving in HOME's pool."""
    usd = None if present is None else Decimal(present)
    situation = Situation(
        now=NOW,
        mode=Mode.SPOT,
        present_pool=HOME.id,
        present_usd=usd,
        ondemand_usd=ONDEMAND_USD,
        forced_stay=False,
        min_savings_percent=Decimal(5),
        pools=pools,
        home=HOME,
    )
    return replace(situation, **known)


def on_demand(*pools, forced=True, **known):
    stay = on_spot(
        *pools, mode=Mode.ONDEMAND, present_pool=None, present_usd=ONDEMAND_USD, forced_stay=forced
    )
    return replace(stay, **known)


prices = st.decimals("0.001", "0.12", places=6)
assessments = st.builds(
    PoolAssessment,
    pool=st.sampled_from(
        [Pool(kind, f"eu-west-1{z}") for kind in ("m6i.large", "m6i.xlarge", "c7g.large") for z in "abc"]
    ),
    usd_per_hour=st.none() | prices,
    age_seconds=st.just(30.0),
    up_seconds=st.none() | st.sampled_from([0.0, 3599.0, 3600.0, 90_000.0]),
    risk_6h=st.none(),
    quarantined_until=st.none() | st.just(NOW + timedelta(minutes=15)),
    allowed=st.booleans(),
    because=st.just("as it is"),
)
markets = st.lists(assessments, max_size=9, unique_by=lambda a: a.pool.id).map(tuple)


def priced_as_its_own_pool(situation):
    """A market knows one price of a pool: what the workload pays is what its own pool costs there."""
    own = [a for a in situation.pools if a.pool.id == situation.present_pool]
    return replace(situation, present_usd=own[0].usd_per_hour) if own else situation


spot_situations = st.builds(
    on_spot,
    present=st.none() | prices.map(str),
    ondemand_usd=st.none() | st.just(ONDEMAND_USD),
    min_savings_percent=st.decimals(0, 60, places=2),
    pools=markets,
).map(priced_as_its_own_pool)
ondemand_situations = st.builds(
    on_demand,
    forced=st.booleans(),
    present_usd=st.none() | st.just(ONDEMAND_USD) | prices,
    ondemand_usd=st.none() | st.just(ONDEMAND_USD),
    min_savings_percent=st.decimals(0, 60, places=2),
    pools=markets,
)
situations = spot_situations | ondemand_situations
