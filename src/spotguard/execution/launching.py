"""Launching one instance: intention, call, outcome; an answer to each member of the error tree.

Nothing here waits. `launch` does what can be done now and says when to look again; all that it knows is in the
intentions, so whoever calls it next, after a crash or in another process, goes on where it stopped.

A pool that is dry → the next candidate with a new token. A quota → no more spot in this wish, on-demand goes on.
Throttled → the same token later. Configuration → stop, a person must act; so too an image that EC2 still does not show
when it would show a new one: it has gone. No clear answer → look up by token, then
by tag, and only then the same call with the same token: EC2 answers a used token with its former instance or with a
mismatch, never with a second one. If that repetition is refused, the refusal is of the repetition: what the first call
may have made is waited for as long as EC2 may hide it, and no other candidate is tried meanwhile. In an emergency
nobody waits for that: a second machine serves nobody, is found by its tag and ended; a minute without service is worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.errors import (
    CloudError,
    Doubtful,
    NeedsPerson,
    NotVisible,
    PoolDry,
    QuotaReached,
    Throttled,
    TokenMismatch,
)
from spotguard.domain.ids import ClientToken, ImageId, InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.execution.tokens import token_of
from spotguard.execution.user_data import beside_the_owners
from spotguard.ports.cloud import BlockDevice, Cloud, FleetRequest, InstanceView, LaunchRequest, Tags
from spotguard.ports.intentions import (
    TOKEN_TAG,
    Intention,
    IntentionKind,
    Intentions,
    IntentionStatus,
    Outcome,
)
from spotguard.ports.shape import Shape, tags_of

# EC2's codes for a pool without capacity (EC2 error code reference)
DRY_CODES = frozenset(
    {
        "InsufficientInstanceCapacity",
        "UnfulfillableCapacity",
        "InsufficientCapacity",
        "Unsupported",
        "SpotMaxPriceTooLow",
    }
)
SOON_SECONDS = 5.0
SHOWN_WITHIN = timedelta(minutes=5)  # "gradually up to five minutes" (EC2 API guide, "Eventual consistency")
MISMATCH_FOR = timedelta(
    hours=2
)  # an ended instance vanishes after about an hour: by then it is not coming back
# In an emergency. EC2 keeps the token of a fleet that found no capacity: the same with other pools is a mismatch
# (runs-on#251)
AT_ONCE_FOR = timedelta(minutes=1)
VANISHED_AFTER = timedelta(hours=1, minutes=10)  # EC2 shows an ended instance for about an hour
MOST_CALLS = 6  # in one go; then the caller looks after its other work first
_GONE = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


@dataclass(frozen=True)
class Candidate:
    """One pool and market to try; its price, when known, is what the attempt reserves of a spend cap."""

    pool: Pool
    mode: Mode
    usd_per_hour: Decimal | None = None

    @property
    def place(self) -> str:
        return f"{self.pool.id}:{self.mode}"


@dataclass(frozen=True)
class LaunchWish:
    """One instance, wanted for `seed` (a switch or replica id) and `purpose`, from the first candidate that has it.

    A higher `attempt` begins anew with fresh tokens, after the former one was exhausted or its instance ended.
    `user_data` is called just before EC2 is (it may mint an enrolment token), `shape` when an attempt is opened: what
    the new one must keep of the one that it stands in for. `at_once` tries all candidates in one instant-fleet call.
    """

    seed: str
    purpose: str
    candidates: Sequence[Candidate]
    image_id: ImageId
    tags: Tags
    user_data: Callable[[], str]
    block_devices: Sequence[BlockDevice] = ()
    shape: Callable[[], Shape | None] = lambda: None
    attempt: int = 1
    at_once: bool = False


@dataclass(frozen=True)
class Launched:
    """EC2 has named it and shows it. Whether it boots is another question."""

    instance: InstanceView
    token: ClientToken


@dataclass(frozen=True)
class NotYet:
    """Ask again in `again_seconds`, with the same wish. `throttled`: the account makes too many calls."""

    again_seconds: float
    because: str
    throttled: bool = False


@dataclass(frozen=True)
class Exhausted:
    """No candidate gave an instance, or the one that came has ended: other candidates, or a higher attempt.

    `dry` names the pools that refused, `quota` EC2's code if spot was refused for the whole class.
    """

    because: str
    dry: tuple[Pool, ...] = ()
    quota: str | None = None
    ended: InstanceId | None = None


@dataclass(frozen=True)
class Stopped:
    """A person must act (permission, configuration): nothing is retried."""

    because: str
    code: str


LaunchResult = Launched | NotYet | Exhausted | Stopped


def refused(attempts: Iterable[Intention], mode: Mode) -> tuple[Pool, ...]:
    """The pools among them that had no capacity in this market.

    A fleet does not tell which of its pools refused; a quota is no pool's fault.
    """
    return tuple(
        intention.pool
        for intention in attempts
        if intention.mode is mode
        and intention.pool is not None
        and intention.outcome is not None
        and intention.outcome.error_code in DRY_CODES
    )


def launch(cloud: Cloud, intentions: Intentions, wish: LaunchWish, now: datetime) -> LaunchResult:
    """Carry the wish on as far as it goes without waiting.

    `Refused` from `intentions.open` (a spend cap) passes through: nothing was launched.
    """
    try:
        return _launch(cloud, intentions, wish, now)
    except (Throttled, Doubtful, NotVisible) as error:
        return NotYet(SOON_SECONDS, f"EC2 did not answer the look-up ({error.code})")
    except NeedsPerson as error:
        return Stopped(str(error), error.code)


def _launch(cloud: Cloud, intentions: Intentions, wish: LaunchWish, now: datetime) -> LaunchResult:
    former = [i for i in intentions.of(wish.seed) if i.purpose == wish.purpose]
    for intention in former:  # an attempt without an answer comes first, whatever its number
        if intention.status is IntentionStatus.OPEN:
            result = _resume(cloud, intentions, wish, intention, now)
            if result is not None:
                return result
    for intention in former:
        if intention.attempt == wish.attempt and intention.status is IntentionStatus.DONE:
            return _again(cloud, intention, now)
    return _try_in_turn(cloud, intentions, wish, now)


def _try_in_turn(cloud: Cloud, intentions: Intentions, wish: LaunchWish, now: datetime) -> LaunchResult:
    quota: str | None = None
    calls = 0
    for intention in _untried(wish, intentions.of(wish.seed), now):
        if quota is not None and intention.mode is Mode.SPOT:
            continue
        if calls == MOST_CALLS:
            return NotYet(0, f"{calls} candidates refused; more are left")
        calls += 1
        intentions.open(intention)
        try:
            return _ask(cloud, intentions, wish, intention, now)
        except PoolDry:
            continue
        except QuotaReached as error:
            quota = error.code
    return _exhausted(wish, intentions.of(wish.seed), quota)


def _untried(wish: LaunchWish, former: Sequence[Intention], now: datetime) -> Iterator[Intention]:
    """The attempts that this wish still allows, in order."""
    used = {intention.token for intention in former}
    left = [intention for intention in _all_of(wish, now) if intention.token not in used]
    if left:
        shape = wish.shape()
        yield from (replace(intention, shape=shape) for intention in left)


def _all_of(wish: LaunchWish, now: datetime) -> Iterator[Intention]:
    bare = Intention(ClientToken(""), IntentionKind.FLEET, wish.seed, wish.purpose, wish.attempt, now)
    if wish.at_once:
        token = token_of(wish.seed, wish.purpose, wish.attempt, "fleet")
        dearest = max((c.usd_per_hour for c in wish.candidates if c.usd_per_hour is not None), default=None)
        if wish.candidates:
            yield replace(bare, token=token, usd_per_hour=dearest)
        return
    for candidate in wish.candidates:
        yield replace(
            bare,
            token=token_of(wish.seed, wish.purpose, wish.attempt, candidate.place),
            kind=IntentionKind.LAUNCH,
            pool=candidate.pool,
            mode=candidate.mode,
            usd_per_hour=candidate.usd_per_hour,
        )


def _ask(
    cloud: Cloud,
    intentions: Intentions,
    wish: LaunchWish,
    intention: Intention,
    now: datetime,
    *,
    may_have_made: bool = False,
) -> LaunchResult:
    """One call to EC2 and the writing down of its answer; `PoolDry` and `QuotaReached` also reach the caller.

    `may_have_made`: an earlier call with this token has had no answer, and what it made may be hidden still.
    """
    try:
        view = _call(cloud, wish, intention)
    except (PoolDry, QuotaReached, NeedsPerson) as error:
        return _refused(intentions, intention, error, may_have_made=may_have_made)
    except Throttled as error:
        return NotYet(SOON_SECONDS, f"EC2 is throttling ({error.code})", throttled=True)
    except (Doubtful, NotVisible, TokenMismatch) as error:
        found = find(cloud, intention.token)
        if found is not None:
            return _settle(intentions, intention, found)
        return _unclear(intentions, wish, intention, error, now)
    return _settle(intentions, intention, view)


def _unclear(
    intentions: Intentions, wish: LaunchWish, intention: Intention, error: CloudError, now: datetime
) -> LaunchResult:
    """Nothing shows that an instance has come: for how long that may still mean nothing, the error says."""
    waited = now - intention.opened_at
    if isinstance(error, TokenMismatch) and waited > (AT_ONCE_FOR if wish.at_once else MISMATCH_FOR):
        return _fail(intentions, intention, error)
    if isinstance(error, NotVisible) and waited > (AT_ONCE_FOR if wish.at_once else SHOWN_WITHIN):
        _fail(intentions, intention, error)
        return Stopped(f"what it is launched from is not there: {error}", error.code)
    return NotYet(SOON_SECONDS, f"no clear answer yet ({error.code})")


def _refused(
    intentions: Intentions, intention: Intention, error: CloudError, *, may_have_made: bool
) -> LaunchResult:
    """This call made nothing. The attempt is over only if no earlier call can have made something."""
    if not may_have_made:
        _fail(intentions, intention, error)
    if isinstance(error, NeedsPerson):
        return Stopped(str(error), error.code)
    if may_have_made:
        return NotYet(SOON_SECONDS, f"refused ({error.code}); an earlier call may have made one")
    raise error


def _fail(intentions: Intentions, intention: Intention, error: CloudError) -> LaunchResult:
    intentions.close(intention.token, Outcome(IntentionStatus.FAILED, error_code=error.code))
    return Exhausted(f"the former attempt left nothing ({error.code})")


def _call(cloud: Cloud, wish: LaunchWish, intention: Intention) -> InstanceView:
    shape = intention.shape
    tags = tags_of(shape, {**wish.tags, TOKEN_TAG: intention.token})
    user_data = beside_the_owners(shape, wish.user_data())
    if intention.pool is None or intention.mode is None:
        return cloud.create_fleet(
            FleetRequest(
                token=intention.token,
                candidates=[(candidate.pool, candidate.mode) for candidate in wish.candidates],
                image_id=wish.image_id,
                tags=tags,
                user_data=user_data,
                block_devices=wish.block_devices,
                shape=shape,
            )
        )
    return cloud.run_instance(
        LaunchRequest(
            token=intention.token,
            pool=intention.pool,
            mode=intention.mode,
            image_id=wish.image_id,
            tags=tags,
            user_data=user_data,
            block_devices=wish.block_devices,
            shape=shape,
        )
    )


def _resume(
    cloud: Cloud, intentions: Intentions, wish: LaunchWish, intention: Intention, now: datetime
) -> LaunchResult | None:
    """Settle an attempt whose answer is missing. None: it came to nothing, go on with the next candidate."""
    may_have_made = not wish.at_once and now - intention.opened_at <= SHOWN_WITHIN
    try:
        found = find(cloud, intention.token)
        if found is not None:
            return _settle(intentions, intention, found)
        return _ask(cloud, intentions, wish, intention, now, may_have_made=may_have_made)
    except (PoolDry, QuotaReached):
        return None


def find(cloud: Cloud, token: ClientToken) -> InstanceView | None:
    """The instance that came of a token, by the token or else by the tag that the same call set; None if not shown.

    Nothing shown proves nothing: EC2 is eventually consistent.
    """
    shown = cloud.describe_instances(token=token) or cloud.describe_instances(tags={TOKEN_TAG: token})
    return shown[0] if shown else None


def _settle(intentions: Intentions, intention: Intention, view: InstanceView) -> LaunchResult:
    """An instance has come: write it down. One that is already ending served nobody."""
    intentions.close(intention.token, Outcome(IntentionStatus.DONE, resource_id=view.instance_id))
    return _judge(view, intention.token)


def _judge(view: InstanceView, token: ClientToken) -> LaunchResult:
    if view.state in _GONE:
        return Exhausted(f"{view.instance_id} has ended", ended=view.instance_id)
    return Launched(view, token)


def _again(cloud: Cloud, intention: Intention, now: datetime) -> LaunchResult:
    """This attempt has had its answer; tell it again, as EC2 shows it now.

    Shown neither by its id nor by its token or tag so long after its launch, it has ended and vanished.
    """
    resource = intention.outcome.resource_id if intention.outcome else None
    made = None if resource is None else InstanceId(resource)
    shown = cloud.describe_instances([made]) if made else ()
    view = shown[0] if shown else find(cloud, intention.token)
    if view is not None:
        return _judge(view, intention.token)
    if now - intention.opened_at > VANISHED_AFTER:
        return Exhausted(f"{resource} has ended and EC2 shows it no more", ended=made)
    return NotYet(SOON_SECONDS, f"EC2 does not show {resource} (yet)")


def _exhausted(wish: LaunchWish, former: Sequence[Intention], quota: str | None) -> Exhausted:
    failed = [i for i in former if i.purpose == wish.purpose and i.attempt == wish.attempt and i.outcome]
    dry = tuple(i.pool for i in failed if i.pool is not None and i.outcome is not None)
    codes = sorted({i.outcome.error_code for i in failed if i.outcome and i.outcome.error_code})
    because = f"no candidate could be launched ({', '.join(codes) or 'there was none to try'})"
    return Exhausted(because, dry=dry, quota=quota)
