"""Whether this process could have heard agents lately: a laptop sleeps, a machine is paused, a database is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from spotguard.planning.presence import Listening
from spotguard.ports.clock import Clock

LOOK_SECONDS = 5.0
LONGEST = timedelta(seconds=LOOK_SECONDS + 10)  # between two looks of a busy machine


class Hearing:
    """Looks at clock and database again and again: a gap between two looks is time in which nobody was heard.

    Where nobody looks, as in a simulation, which stands still by itself, it is taken never to have been away.
    """

    def __init__(self, ask_database: Callable[[], object], clock: Clock) -> None:
        self._ask_database, self._clock = ask_database, clock
        self._known: Listening | None = None

    def look(self) -> None:
        """Nothing is remembered of a look that the database does not answer."""
        now = self._clock.now()
        try:
            self._ask_database()
        except SQLAlchemyError:  # it may be away: whoever wanted something of it has been told
            return
        self._known = Listening.begun(now) if self._known is None else self._known.at(now, LONGEST)

    def since(self, now: datetime) -> datetime | None:
        """Since when without a gap; None: for as long as anybody asks."""
        return None if self._known is None else self._known.at(now, LONGEST).since

    def run(self, stop: threading.Event) -> None:
        self.look()
        while not stop.wait(LOOK_SECONDS):
            self.look()
