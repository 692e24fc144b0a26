"""The baseline: the same workload stopped, its last changes copied by rsync, and started elsewhere, by a script that
already knows that it has to. No notice, no server, no proof that the old one is over.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from spotguard.bench.lab.site import PYTHON, STOP, WORKLOAD

_RECORDS = 2000


def handover_seconds(times: int) -> list[float]:
    """From the order to stop to the moment in which the other one serves."""
    with tempfile.TemporaryDirectory(prefix="spotguard-bare-") as folder:
        homes = [Path(folder) / "i" / name for name in ("a", "b")]
        for home in homes:
            (home / "vol" / "state").mkdir(parents=True)
        (homes[0] / "vol" / "state" / "records").write_text("".join(f"{n}\n" for n in range(1, _RECORDS + 1)))
        _start(homes[0])
        try:
            return [_moved(homes[number % 2], homes[1 - number % 2]) for number in range(times)]
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
    subprocess.run([*PYTHON, str(WORKLOAD), str(home)], check=True)


def _stop(home: Path) -> None:
    subprocess.run(["/bin/sh", "-c", STOP.format(home=home)], check=True)


def _copy(old: Path, new: Path) -> None:
    subprocess.run(["rsync", "--archive", "--delete", f"{old}/vol/state/", f"{new}/vol/state/"], check=True)
