"""When a pool is due for another look, and whose gain a look may bring."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from spotguard.engine import forecast
from spotguard.engine.forecast import Ask, Prospect
from spotguard.engine.records import first_seen
from spotguard.engine.stakes import Stakes
from spotguard.engine.watching import PAUSE_SECONDS, pause_seconds, worths
from tests.engine.market import FAR, HOME, NEXT, NOW, ONDEMAND_USD, pool

CALM, UNKNOWN, STORMY = Prospect(1e-4, 0.0006), Prospect(1e-4, 0.0006, 1.0), Prospect(0.5, 0.95, 0.5)
STATELESS, CRITICAL = (Stakes(0.1, weight * 0.1 / 60, wait_hours=0.5) for weight in (10, 1000))


def seen(*, up, hours=0.0):
    return replace(first_seen(NOW - timedelta(hours=hours), up=up), seen_at=NOW)


@pytest.mark.parametrize(
    ("record", "hours"),
    [
        (seen(up=False), 4),  # down: half of what it has to stay up
        (seen(up=True, hours=1), 1),  # young: an eighth
        (seen(up=True, hours=4), 1),  # as long as a look vouches at the most
    ],
)
def test_the_pause_follows_what_was_seen(record, hours):
    assert pause_seconds(record, proof_hours=8, on_spot=False) == hours * 3600


def test_no_pool_is_looked_at_more_often_than_every_five_minutes():
    assert pause_seconds(seen(up=False), proof_hours=0, on_spot=False) == PAUSE_SECONDS


def test_who_runs_on_spot_waits_longer():
    old = seen(up=True, hours=10)
    assert pause_seconds(old, proof_hours=8, on_spot=True) == 20 * 3600
    assert pause_seconds(seen(up=False), proof_hours=0, on_spot=True) == 900


def ask(stakes, *pools, present=None):
    usd = next((p.usd_per_hour for p in pools if p.pool.id == present), ONDEMAND_USD)
    return Ask(present=present, present_usd=usd, pools=pools, stakes=stakes)


def worth(stakes, known, *pools, present=None):
    told = worths([ask(stakes, *pools, present=present)], {p.id: k for p, k in known.items()})
    return {pool_id: usd for pool_id, usd in zip(told.pool_ids, told.usd[0], strict=True) if usd}


def test_a_doubt_that_keeps_the_critical_away_is_worth_what_it_would_save():
    told = worth(CRITICAL, {NEXT: UNKNOWN}, pool(NEXT, "0.040"))
    (calm,) = forecast.figures([ask(CRITICAL, pool(NEXT, "0.040"))], {NEXT.id: Prospect(1e-4, 0.0006)})
    assert told == {NEXT.id: pytest.approx(calm.gain_usd)}


def test_what_is_known_to_be_calm_is_worth_no_look():
    assert worth(CRITICAL, {NEXT: CALM}, pool(NEXT, "0.040")) == {}


def test_who_has_little_to_lose_looks_at_a_pool_by_going_there():
    assert worth(STATELESS, {NEXT: UNKNOWN}, pool(NEXT, "0.040")) == {}


def test_who_runs_in_a_calm_pool_pays_for_nothing_that_saves_no_more():
    known = {HOME: CALM, NEXT: UNKNOWN, FAR: STORMY}
    assert (
        worth(CRITICAL, known, pool(HOME, "0.040"), pool(NEXT, "0.040"), pool(FAR, "0.039"), present=HOME.id)
        == {}
    )


def test_a_pool_in_quarantine_may_be_looked_at_and_one_that_is_not_allowed_never():
    struck = replace(pool(NEXT, "0.040"), quarantined_until=NOW + timedelta(hours=1))
    assert worth(CRITICAL, {NEXT: STORMY}, struck)[NEXT.id] > 0
    assert worth(CRITICAL, {NEXT: UNKNOWN}, replace(pool(NEXT, "0.040"), allowed=False)) == {}


def test_one_as_dear_as_on_demand_or_without_a_price_is_worth_no_look():
    assert worth(CRITICAL, {NEXT: UNKNOWN}, pool(NEXT, str(Decimal(ONDEMAND_USD)))) == {}
    assert worth(CRITICAL, {NEXT: UNKNOWN}, replace(pool(NEXT, "0.040"), usd_per_hour=None)) == {}


def test_nobody_asks_for_nothing():
    assert worths([], {}).usd.shape == (0, 0)
    assert worths([ask(CRITICAL)], {}).usd.shape == (1, 0)


def test_watched_pools_keep_their_doubt_and_the_others_are_asked_once():
    known = {HOME.id: UNKNOWN, NEXT.id: UNKNOWN}
    told = forecast.unwatched(known, but_for={NEXT.id})
    assert told[NEXT.id] == UNKNOWN
    assert told[HOME.id].doubt_per_hour < 0.1
