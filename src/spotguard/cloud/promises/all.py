"""Every promise, in the order in which they are checked."""

from __future__ import annotations

from collections.abc import Callable

from spotguard.cloud.promises import disks, launches, prices, quotas
from spotguard.cloud.promises.stage import Stage

PROMISES: tuple[Callable[[Stage], None], ...] = (
    *launches.PROMISES,
    *disks.PROMISES,
    *prices.PROMISES,
    *quotas.PROMISES,
)


def sentence(promise: Callable[[Stage], None]) -> str:
    return promise.__name__.replace("_", " ")
