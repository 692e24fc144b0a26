"""Worker processes of long measurements: each ends with the process that it works for, however that one ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait


def process_pool(workers: int, begin: Callable[..., None], *args: object) -> ProcessPoolExecutor:
    """`begin` is called once in each of them, with `args`."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(begin, args))


def _begin(begin: Callable[..., None], args: tuple[object, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*args)


def _end_with_parent() -> None:
    """A worker that waits for its next task does not hear that nobody is left to give it one."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
