"""EC2's bill, recomputed second by second as slowly and plainly as can be: what the ledger is measured against."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st

from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.instances import EndReason, Mode
from spotguard.planning.metering import Change, EntryKind, InstanceRun, Term

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LONGEST_SECONDS = 9_000


def role_of(run, moment):
    serving = [t for t in run.terms if t.since <= moment and not (t.until and t.until <= moment)]
    if serving:
        return EntryKind.COMPUTE
    once = [t for t in run.terms if t.since <= moment]
    return EntryKind.REPLICA if run.is_replica and not once else EntryKind.OVERLAP


def price_of(run, moment):
    before = [change for change in run.prices if change.at <= moment]
    return (before[-1] if before else run.prices[0]).usd_per_hour


def naive_bill(run, until):
    """USD by kind, exact; and seconds by kind."""
    stop = min(until, run.ended_at) if run.ended_at else until
    seconds = Counter()
    moment = last = run.since
    while moment < stop:
        seconds[role_of(run, moment), price_of(run, moment)] += 1
        last = moment
        moment += SECOND
    is_over = run.ended_at is not None and run.ended_at <= until
    ran = sum(seconds.values())
    if is_over and 0 < ran < 60:
        seconds[role_of(run, last), price_of(run, last)] += 60 - ran
    usd = Counter()
    for (kind, price), count in seconds.items():
        usd[kind] += Fraction(price) * count / 3600
    taken_early = (
        is_over
        and run.mode is Mode.SPOT
        and run.end_reason is EndReason.INTERRUPTED
        and (run.ended_at - run.launched_at).total_seconds() < 3600
    )
    if taken_early:
        usd[EntryKind.WAIVED] = -sum(usd.values())
    by_kind = Counter()
    for (kind, _), count in seconds.items():
        by_kind[kind] += count
    return usd, by_kind


def a_run(**known):
    """A spot instance that serves from its first second, at one price."""
    since = known.pop("since", NOON)
    facts = {
        "instance_id": "i-0123456789abcdef0",
        "client_id": ClientId("client"),
        "agent_id": AgentId("agent"),
        "mode": Mode.SPOT,
        "pool_id": PoolId("m6i.large.eu-west-1a"),
        "since": since,
        "ended_at": None,
        "end_reason": None,
        "is_replica": False,
        "terms": (Term(since, None),),
        "prices": (Change(since, Decimal("0.036000")),),
        "launched_at": since,
    }
    return InstanceRun(**facts | known)


@st.composite
def terms(draw, since, until_seconds):
    """Up to two spans of primacy, the last perhaps still going on."""
    cuts = sorted(draw(st.sets(st.integers(0, until_seconds), max_size=4)))
    spans = [since + cut * SECOND for cut in cuts]
    pairs = [Term(a, b) for a, b in zip(spans[::2], spans[1::2], strict=False)]
    return (*pairs, Term(spans[-1], None)) if len(spans) % 2 else tuple(pairs)


@st.composite
def runs(draw):
    """Instances of up to two and a half hours, with every mixture of role changes, price steps and ends."""
    since = NOON + draw(st.integers(0, 3_700)) * SECOND
    length = draw(st.integers(1, 130) | st.integers(1, LONGEST_SECONDS))
    has_ended = draw(st.booleans())
    first = since - draw(st.integers(0, 500)) * SECOND
    steps = sorted(draw(st.sets(st.integers(1, LONGEST_SECONDS), max_size=5)))
    prices = draw(
        st.lists(st.decimals("0.000001", "9", places=6), min_size=len(steps) + 1, max_size=len(steps) + 1)
    )
    return a_run(
        since=since,
        mode=draw(st.sampled_from(Mode)),
        ended_at=since + length * SECOND if has_ended else None,
        end_reason=draw(st.sampled_from(EndReason)) if has_ended else None,
        is_replica=draw(st.booleans()),
        terms=draw(terms(since, length)),
        prices=[
            Change(at, usd)
            for at, usd in zip([first, *(first + s * SECOND for s in steps)], prices, strict=True)
        ],
    )
