"""Small markets whose advice can be worked by hand: on demand 0.1 USD/h, 30 days, pools of two zones."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotguard.advice.advise import advise
from spotguard.advice.market import of_availability, of_prices
from spotguard.advice.wish import Wish
from spotguard.domain.pools import Pool
from spotguard.market.advisor import Snapshot
from spotguard.market.availability import Availability, Sighting
from spotguard.market.history import PriceHistory
from spotguard.market.rows import PriceRow
from spotguard.market.type_facts import shipped

T0 = datetime(2026, 1, 1, tzinfo=UTC)
REGION, TYPE = "eu-west-1", "m5.large"
A, B = Pool(TYPE, "eu-west-1a"), Pool(TYPE, "eu-west-1b")
COUSIN = Pool("m5a.large", "eu-west-1a")
ONDEMAND = {(REGION, TYPE): Decimal("0.1"), (REGION, "m5a.large"): Decimal("0.09")}
MONTH = 30
NOW = T0 + timedelta(days=MONTH, hours=1)


def at(days):
    return T0 + timedelta(days=days)


def history(paths, days=MONTH):
    """`paths`: pool → price, or pool → [(day, price)…]; each is said again at the end, as AWS does."""
    rows = []
    for pool, told in paths.items():
        steps = told if isinstance(told, list) else [(0, told)]
        rows += [PriceRow(pool, at(day), Decimal(str(usd))) for day, usd in steps]
        rows.append(PriceRow(pool, at(days), Decimal(str(steps[-1][1]))))
    return PriceHistory(rows, "prices.csv")


def priced(paths, days=MONTH, ondemand=ONDEMAND, buckets=None, **more):
    """The market of `TYPE`. `buckets`: by type, known from the beginning; `more`: of `of_prices`."""
    told = [] if buckets is None else [Snapshot(T0, {(REGION, name): n for name, n in buckets.items()})]
    return of_prices(history(paths, days), ondemand, REGION, TYPE, shipped(), told, **more)


def sighted(spells, usd="0.03", days=MONTH):
    """The market of `TYPE` by availability, looked at hourly. `spells`: pool → hours in which it is down."""
    looks = {
        pool: [
            Sighting(
                at(0) + timedelta(hours=hour),
                not any(first <= hour < last for first, last in downs),
                Decimal(usd),
                Decimal("0.1"),
            )
            for hour in range(24 * days + 1)
        ]
        for pool, downs in spells.items()
    }
    return of_availability(Availability(looks), {}, REGION, TYPE, "up.csv")


def advised(market, **wish):
    return advise(market, Wish(**wish), NOW)


def calm(usd=0.03, other=0.04, **more):
    return priced({A: usd, B: other}, **more)
