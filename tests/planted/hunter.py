"""`python -m tests.planted.hunter HOURS SEEDS KINDS`: in a process of its own, with the mutated package on its path.

Runs schedule after schedule until one of them shows a violation. Each ends with one line of JSON on stdout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import spotguard
from spotguard.simulation.campaign import run
from spotguard.simulation.fault_kinds import FaultKind
from spotguard.telemetry import configure_logging
from tests.planted.schedules import directed


def violations_of(seed: int, kinds: tuple[FaultKind, ...], hours: float) -> list[str]:
    try:
        return list(run(seed, directed(seed, kinds, hours), hours, only_first=True).violations)
    except Exception as error:  # noqa: BLE001 - a simulation that cannot go on has noticed, whatever it is
        return [f"the simulation cannot go on: {type(error).__name__}: {error}"[:300]]


def main() -> int:
    hours, kinds = float(sys.argv[1]), tuple(map(FaultKind, filter(None, sys.argv[3].split(","))))
    configure_logging("critical")
    print(json.dumps({"package": str(Path(spotguard.__file__).parent)}), flush=True)
    for seed in range(*map(int, sys.argv[2].split(":"))):
        found = violations_of(seed, kinds, hours)
        print(json.dumps({"seed": seed, "violations": found}), flush=True)
        if found:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
