"""The baseline: the same workload stopped, its last changes copied by rsync, and started elsewhere, by a script that
already knows that it has to. No notice, no server, no proof that the old one is over.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from spotguard.bench.lab.site import PYTHON, STOP, WORKLOAD

_RECORDS = 2000


def handover_seconds(times: int, is_stopped: Callable[[], bool] = lambda: False) -> list[float]:
    """From the order to stop to the moment in which the other one serves; fewer times once `is_stopped`."""
    with tempfile.TemporaryDirectory(prefix="spotguard-bare-") as folder:
        homes = [Path(folder) / "i" / name for name in ("a", "b")]
        for home in homes:
            (home / "vol" / "state").mkdir(parents=True)
        (homes[0] / "vol" / "state" / "records").write_text("".join(f"{n}\n" for n in range(1, _RECORDS + 1)))
        _start(homes[0])
        try:
            going_on = takewhile(lambda _: not is_stopped(), range(times))
            return [_moved(homes[number % 2], homes[1 - number % 2]) for number in going_on]
        finally:
            for home in homes:
                _stop(home)


def _moved(old: Path, new: Path) -> float:
    _copy(old, new)  # as the passes before would have
    begun = time.perf_counter()
    _stop(old)
    _copy(old, new)
    _start(new)
    return time.perf_counter() - begun


def _start(home: Path) -> None:
    _run([*PYTHON, str(WORKLOAD), str(home)])


def _stop(home: Path) -> None:
    _run(["/bin/sh", "-c", STOP.format(home=home)])


def _copy(old: Path, new: Path) -> None:
    _run(["rsync", "--archive", "--delete", f"{old}/vol/state/", f"{new}/vol/state/"])


def _run(words: Sequence[str]) -> None:
    """In a group of its own: a terminal's Ctrl-C is for whoever measures."""
    subprocess.run(words, check=True, process_group=0)
