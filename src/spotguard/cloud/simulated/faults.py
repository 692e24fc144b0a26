"""Calls that fail: by plan, by chance, and for asking too often."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import NoReturn

from spotguard.cloud.simulated.physics import Bucket
from spotguard.domain.errors import CloudError, Doubtful, PoolDry, QuotaReached, Throttled

_LAUNCHES = frozenset({"run_instance", "create_fleet"})
_READS = ("describe_", "spot_price_history", "ondemand_prices", "storage_rates", "vcpu_quotas")
MakeError = Callable[[], CloudError]


def lost_answer() -> CloudError:
    """The call took effect or not, and nobody told the caller."""
    return Doubtful("RequestTimeout", "no answer")


@dataclass(frozen=True)
class _Chance:
    share: float
    make: MakeError
    after_effect: bool


class Faults:
    """Which calls fail. Actions are named as the methods of the `Cloud` port.

    A launch that fails for want of room fails after the look-up of its token: EC2 tells what a used token made before
    it asks for quota and capacity (EC2 API Reference, "Ensuring idempotency").
    """

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._before: defaultdict[str, deque[CloudError]] = defaultdict(deque)
        self._after: defaultdict[str, deque[CloudError]] = defaultdict(deque)
        self._chances: dict[str, list[_Chance]] = {}
        self._no_room: CloudError | None = None  # of the launch under way
        self.injected: defaultdict[str, int] = defaultdict(int)  # by action and EC2 code, for reports

    def next(self, action: str, error: CloudError, *, after_effect: bool = False) -> None:
        """The next call of the action fails, before it does anything or after it has done it (lost answer).

        Called again it queues: the call after that fails too.
        """
        (self._after if after_effect else self._before)[action].append(error)

    def sometimes(
        self, action: str, share: float, make: MakeError = lost_answer, *, after_effect: bool = False
    ) -> None:
        """This share of the action's calls fails, by seeded dice; 0 removes all chances of the action."""
        if share <= 0:
            self._chances.pop(action, None)
        else:
            self._chances.setdefault(action, []).append(_Chance(share, make, after_effect))

    def clear(self) -> None:
        """Faults stop."""
        self._before.clear()
        self._after.clear()
        self._chances.clear()

    @property
    def are_active(self) -> bool:
        """A call may fail now."""
        return bool(self._chances) or any(self._before.values()) or any(self._after.values())

    def before(self, action: str) -> None:
        self._no_room = None
        error = self._drawn(action, self._before, after_effect=False)
        if action in _LAUNCHES and isinstance(error, PoolDry | QuotaReached):
            self._no_room = error
        elif error is not None:
            self._fail(action, error)

    def require_room(self, action: str) -> None:
        """Asked by a launch whose token has made nothing yet."""
        if self._no_room is not None:
            self._fail(action, self._no_room)

    def after(self, action: str) -> None:
        error = self._drawn(action, self._after, after_effect=True)
        if error is not None:
            self._fail(action, error)

    def _drawn(
        self, action: str, planned: Mapping[str, deque[CloudError]], *, after_effect: bool
    ) -> CloudError | None:
        if planned.get(action):
            return planned[action].popleft()
        for chance in self._chances.get(action, ()):
            if chance.after_effect is after_effect and self._dice.random() < chance.share:
                return chance.make()
        return None

    def _fail(self, action: str, error: CloudError) -> NoReturn:
        self.injected[f"{action}:{error.code}"] += 1
        raise error


class Throttle:
    """Token buckets per class of action: describe, change, launch. A class without a bucket is unlimited."""

    def __init__(self, buckets: Mapping[str, Bucket], now: datetime) -> None:
        self._buckets = dict(buckets)
        self._left = {name: (float(bucket.size), now) for name, bucket in buckets.items()}

    def take(self, action: str, now: datetime) -> None:
        name = _class_of(action)
        bucket = self._buckets.get(name)
        if bucket is None:
            return
        left, since = self._left[name]
        left = min(bucket.size, left + (now - since).total_seconds() * bucket.per_second)
        self._left[name] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise Throttled("RequestLimitExceeded", action)


def _class_of(action: str) -> str:
    if action in _LAUNCHES:
        return "launch"
    return "describe" if action.startswith(_READS) else "change"
