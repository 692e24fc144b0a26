"""What may wait takes turns: a duty that asks EC2 for everybody ends in time, and goes on in the next pass.

A pass is as long as its calls take, and a rescue that begins meanwhile waits for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import timedelta
from typing import Generic, TypeVar

import sqlalchemy as sa

from spotguard.coordinator.context import Context

SLICE = timedelta(seconds=3)  # of a pass, for each duty; one item more may have begun
SHARE = timedelta(seconds=10)  # of a client's rescues, in one duty and pass
Item = TypeVar("Item")


def _nothing() -> Container[object]:
    return ()


def _left_over_first(left: list[Item], items: Iterable[Item]) -> list[Item]:
    wanted = list(items)
    first = [item for item in left if item in wanted]
    return [*first, *(item for item in wanted if item not in first)]


class Turns(Generic[Item]):
    """Of one duty. Lost with the process: then everything is looked at anew."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.left: list[Item] = []  # whose turn did not come

    def of(self, items: Iterable[Item], urgent: Callable[[], Container[object]] = _nothing) -> Iterator[Item]:
        """In the given order, but who was left over first.

        `urgent`, asked when time is up, tells who has a turn all the same.
        """
        clock, due = self._ctx.clock, _left_over_first(self.left, items)
        self.left = []
        begun = clock.now()
        cannot_wait: Container[object] | None = None
        for place, item in enumerate(due):
            if place > 0 and cannot_wait is None and clock.now() - begun >= SLICE:
                cannot_wait = urgent()
            if cannot_wait is None or item in cannot_wait:
                yield item
            else:
                self.left.append(item)
        if self.left:
            self._ctx.soon(begun, self._ctx.settings.pass_seconds)


class Fair:
    """Rescues: many of one client hold up nobody else's for longer than its share of a pass.

    The next pass comes at once then, and begins with those that were left over.
    """

    def __init__(self, ctx: Context, whose: Callable[[sa.Connection, str], str | None]) -> None:
        """`whose`: the client of an item."""
        self._ctx, self._whose = ctx, whose
        self._left: list[str] = []

    def of(self, items: Iterable[str]) -> Iterator[str]:
        """In the given order, but who was left over first. Nobody's client is asked for while there is time."""
        now, due = self._ctx.clock.now, _left_over_first(self._left, items)
        self._left = []
        taken: list[tuple[str, timedelta]] = []
        clients: dict[str, str | None] = {}

        def client(item: str) -> str | None:
            if item not in clients:
                clients[item] = self._ctx.db.read(lambda tx: self._whose(tx, item))
            return clients[item]

        def has_had_its_share(item: str) -> bool:
            return sum((span for one, span in taken if client(one) == client(item)), timedelta()) >= SHARE

        begun = now()
        for item in due:
            before = now()
            if before - begun >= SHARE and has_had_its_share(item):
                self._left.append(item)
                continue
            yield item
            taken.append((item, now() - before))
        if self._left:
            self._ctx.soon(begun, 0)
