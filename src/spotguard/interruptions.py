"""Ctrl-C, for long work that tells what it has finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noted(*, raises: bool) -> Iterator[list[int]]:
    """SIGINT as often as it has come, where Python would answer it: else, and in other threads, none.

    `raises`: `KeyboardInterrupt` besides, whose exception is lost where no frame can hear it. Without, for ends that
    take seconds: an exception in their midst leaves things behind.
    """
    heard: list[int] = []
    former = signal.getsignal(signal.SIGINT)
    if former is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield heard
        return

    def hear(number: int, _frame: object) -> None:
        heard.append(number)
        if raises:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, former)
