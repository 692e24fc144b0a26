"""Writes the tables of docs/engine.md anew: `python -m spotguard.bench.engine_tables DATA [--full] [--doc FILE]`.

DATA is the folder of price and availability files that docs/engine.md names. Without `--full` few windows are taken, so
that it ends within half an hour of one core; how many, stands above each table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from spotguard.backtest.bench import Files, Wanted, prepare, told_of
from spotguard.backtest.engine import Engine
from spotguard.backtest.measuring import measure
from spotguard.backtest.physics import Physics
from spotguard.backtest.policy import Intention, View
from spotguard.bench import engine_tables_text as text
from spotguard.bench.engine_tables_text import Measured
from spotguard.engine.hazard import AgeHazard, parse
from spotguard.training import age_hazard, predictions

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
EAST_1, EAST_2 = "p3.2xlarge_us-east-1_2023.csv.gz", "p3.2xlarge_us-east-2_2023.csv.gz"
TRAIN, VALIDATION = (0.0, 0.6), (0.6, 1.0)
PRICES = (
    ("us-east-1_2021-03_2021-05.csv.gz", "us-east-1, spring 2021 (train)"),
    ("eu-west-1_2021-12_2022-03.csv.gz", "eu-west-1, winter 2021/22 (train)"),
    ("eu-west-1_2022-04_2022-06.csv.gz", "eu-west-1, spring 2022 (validation)"),
    ("gpu_9regions_2019-12_2020-03.csv.gz", "p2 and p3 in 9 regions, winter 2019/20 (train)"),
)
SCENARIOS = (
    ("terminate wait 0", Physics(terminate_wait=0.0)),
    ("notice of 108 s", Physics(notice=108.0)),
    ("no notice", Physics(notice=0.0)),
    ("rebalance signals for half", Physics(rebalance=True)),
)
FEW = ("on-demand", "reactive", "cheaper-5", "uptime-24h", "engine", "engine-unrailed")


@dataclass(frozen=True)
class Sizes:
    """How many windows of each length, and seeds."""

    storm: int
    scenario: int
    price: int
    seeds: int


THIN, FULL = Sizes(storm=4, scenario=1, price=1, seeds=30), Sizes(storm=30, scenario=30, price=30, seeds=200)


class Elsewhere:
    """The engine with coefficients that were fitted without the region in which it runs."""

    sees_states = False

    def __init__(self, rules: dict[str, AgeHazard], wait_hours: float) -> None:
        self._rules, self._wait_hours = rules, wait_hours
        self._engine: Engine | None = None

    def decide(self, view: View) -> Intention:
        return self._of(view).decide(view)

    def fall_back(self, view: View) -> Sequence[int]:
        return self._of(view).fall_back(view)

    def _of(self, view: View) -> Engine:
        if self._engine is None:
            rule = self._rules[view.home.region]
            self._engine = Engine(wait_hours=self._wait_hours, rule=rule)
        return self._engine


class Tables:
    """The sections in the order of the document."""

    def __init__(self, data: Path, sizes: Sizes, seed: int, say: Callable[[str], None]) -> None:
        self._data, self._sizes, self._seed, self._say = data, sizes, seed, say
        self._begun = time.process_time()

    def written(self) -> str:
        predicted = predictions.compared(self._data)
        storm = [self._storm(part) for part in (VALIDATION, TRAIN)]
        scenarios = [(name, self._scenario(physics)) for name, physics in SCENARIOS]
        calm = [self._calm(name) for name, _ in PRICES[:3]]
        price = [self._price(name) for name, _ in PRICES]
        names = [label for _, label in PRICES]
        parts = [
            self._stamp(),
            text.targets(storm, price, calm, predicted),
            text.calm(list(zip(names, calm, strict=False))),
            text.price(list(zip(names, price, strict=True))),
            text.storm([("last 40 % (validation)", storm[0]), ("first 60 % (train)", storm[1])]),
            text.scenarios([("the default physics", storm[0]), *scenarios]),
            text.predicted(predicted),
        ]
        return "\n\n".join(part.strip() for part in parts)

    def _stamp(self) -> str:
        s = self._sizes
        size = "all windows" if s == FULL else "thin"
        minutes = (time.process_time() - self._begun) / 60
        return (
            f"Made by `make engine-tables` ({size}: A {s.storm} starts of each length and the whole period, in the "
            f"other physics {s.scenario}; P {s.price} starts of each length; C {s.seeds} seeds of 30 days for each "
            f"file; seed {self._seed}; {minutes:.0f} CPU minutes). Brackets are 95 % intervals."
        )

    def _calm(self, name: str) -> Measured:
        availability = tuple(self._data / "availability" / file for file in (EAST_1, EAST_2))
        files = replace(self._files(name), availability=availability)
        return self._measured(files, Wanted("C", seeds=self._sizes.seeds, part=TRAIN, seed=self._seed), name)

    def _price(self, name: str) -> Measured:
        return self._measured(self._files(name), Wanted("P", starts=self._sizes.price, seed=self._seed), name)

    def _files(self, name: str) -> Files:
        prices = self._data / "prices"
        advisor = self._data / age_hazard.ADVISOR_FILE
        return Files((prices / name,), prices / "ondemand_linux.csv.gz", (), advisor)

    def _storm(self, part: tuple[float, float]) -> Measured:
        wanted = Wanted("A", starts=self._sizes.storm, part=part, seed=self._seed)
        make = partial(Elsewhere, self._rules(), wanted.physics.terminate_wait / 3600)
        return self._measured(self._storm_files(), wanted, f"storm {part}", {"engine-elsewhere": make})

    def _scenario(self, physics: Physics) -> Measured:
        wanted = Wanted(
            "A", FEW, starts=self._sizes.scenario, part=VALIDATION, seed=self._seed, physics=physics
        )
        return self._measured(self._storm_files(), wanted, f"storm, {physics}")

    def _storm_files(self) -> Files:
        return Files((), None, tuple(self._data / "availability" / file for file in (EAST_1, EAST_2)))

    def _rules(self) -> dict[str, AgeHazard]:
        """By region: fitted on the other one."""
        told = {"us-east-1": EAST_2, "us-east-2": EAST_1}
        return {
            region: parse(age_hazard.text_of(age_hazard.fit(self._data, only=(file,))))
            for region, file in told.items()
        }

    def _measured(
        self, files: Files, wanted: Wanted, label: str, more: dict[str, Any] | None = None
    ) -> Measured:
        job = prepare(files, wanted)
        if more:
            job = replace(job, policies={**job.policies, **more}, weighing=job.weighing | frozenset(more))
        runs = measure(job, 1, lambda: None)
        self._say(f"{label}: {(time.process_time() - self._begun) / 60:.1f} CPU minutes")
        return Measured(job, runs, told_of(job, wanted, runs))


def put_into(doc: str, tables: str) -> str:
    """Between the markers. `ValueError` where they are not."""
    before, rest = doc.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Write the tables of docs/engine.md anew.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--doc", type=Path, default=Path("docs/engine.md"))
    wanted = parser.parse_args(arguments)
    sizes = FULL if wanted.full else THIN
    tables = Tables(wanted.data, sizes, wanted.seed, _say)
    doc = wanted.doc.read_text(encoding="utf-8")
    wanted.doc.write_text(put_into(doc, tables.written()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
