"""Whoever gave no answer holds nobody up twice: it is asked by a thread of its own until it answers.

A coordinator asks the accounts of all clients one after the other, and a call without an answer costs it as long as its
patience lasts. So a service that gave none is shut for this account: further calls are refused at once, nothing is
sent, and the same look is repeated aside; any answer, a refusal too, opens the door. Calls that change something are
never repeated here: after one without an answer the next are refused for a pass.

A region that fails fails for everybody: when one account's door shuts, those of the others there are knocked at, all
together, and whoever asks meanwhile waits for the glance that an answer takes at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, WeakSet, ref

from spotguard.cloud.aws.errors import SILENT
from spotguard.domain.errors import CloudError, Doubtful, Throttled
from spotguard.telemetry import get_logger

Call = Callable[[], Any]
GLANCE_SECONDS = 2.0
PAUSE_SECONDS = 2.0  # between two knocks
CHANGES_REST_SECONDS = 10.0  # one pass of the coordinator
MUTE = "NotAnswering"
log = get_logger("aws")


class Doors:
    """Of every account that one server asks; by place, which is a service in a region."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[str, WeakSet[Door]] = {}

    def door(self, place: str) -> Door:
        """One more account's."""
        door = Door(place, self._knock_at_others)
        with self._lock:
            self._at.setdefault(place, WeakSet()).add(door)
        return door

    def _knock_at_others(self, silent: Door) -> None:
        with self._lock:
            others = [door for door in self._at[silent.place] if door is not silent]
        for door in others:
            door.doubt()


class Door:
    """One account's way to one place. Threads may share it."""

    def __init__(self, place: str, told: Callable[[Door], None]) -> None:
        self.place = place
        self._told = told
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._last_look: Call | None = None
        self._shut_at = 0.0  # this and the next in monotonic seconds
        self._changes_from = 0.0

    def look(self, call: Call) -> Any:
        """The answer; `Throttled` while nobody answers."""
        self._pass()
        self._last_look = call
        try:
            return call()
        except Doubtful as error:
            if error.code in SILENT and self._shut():
                log.warning("no answer: asked aside until there is one", place=self.place, code=error.code)
                self._told(self)
            raise

    def change(self, call: Call) -> Any:
        """The same for what changes something."""
        self._pass()
        if time.monotonic() < self._changes_from:
            raise Throttled(MUTE, f"{self.place} left the last change of this account without an answer")
        try:
            return call()
        except Doubtful as error:
            if error.code in SILENT:
                self._changes_from = time.monotonic() + CHANGES_REST_SECONDS
            raise

    def doubt(self) -> None:
        """Somebody else had no answer there: whether this account has one is asked anew."""
        if self._last_look is not None:
            self._shut()

    def _pass(self) -> None:
        if not self._open.wait(max(0.0, self._shut_at + GLANCE_SECONDS - time.monotonic())):
            raise Throttled(MUTE, f"{self.place} does not answer this account; it is asked until it does")

    def _shut(self) -> bool:
        """False: it was shut already, and somebody knocks."""
        with self._lock:
            if not self._open.is_set():
                return False
            self._shut_at = time.monotonic()
            self._open.clear()
        threading.Thread(target=_knock, args=[ref(self)], name="knocking", daemon=True).start()
        return True

    def knock(self) -> bool:
        """The last look once more; True: it was answered, or raised what nobody foresaw, and the door is open."""
        answered = True
        try:
            if self._last_look is not None:
                self._last_look()
        except CloudError as error:
            answered = error.code not in SILENT
        finally:
            if answered:
                self._open.set()
        return answered


def _knock(known: ReferenceType[Door]) -> None:
    """Until it is answered, or the account is nobody's any more: in the pauses nothing here holds the door, and the
    call, which holds its account's connection, is the door's.
    """
    while (door := known()) is not None and not door.knock():
        del door
        threading.Event().wait(PAUSE_SECONDS)
