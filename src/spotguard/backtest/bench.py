"""SpotBench as one call: files in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spotguard.backtest.account import Outcome
from spotguard.backtest.baselines import BASELINES
from spotguard.backtest.calm import CalmTrack, observed_spells
from spotguard.backtest.figures import rounded, summary
from spotguard.backtest.measuring import WEIGHTS, Job, Runs, measure, task_count
from spotguard.backtest.physics import Physics
from spotguard.backtest.policy import Floats
from spotguard.backtest.registry import WEIGHING, policies
from spotguard.backtest.tracks import STARTS, PriceTrack, StormTrack, Track
from spotguard.backtest.worlds import PriceMarket, price_market, storm_worlds
from spotguard.domain.errors import BadSetting, InvalidInput
from spotguard.market.advisor import Snapshot, read_advisor
from spotguard.market.availability import read_availability
from spotguard.market.history import load_price_history
from spotguard.market.ondemand import OndemandPrices, read_ondemand_prices
from spotguard.market.type_facts import Facts, read_type_facts, shipped

SPELL_MINUTES = (9.8, 9.8, 19.5, 22.8, 42.2, 65.1, 107.4, 201.9, 325.6)
"""Deciles of the 831 spells in which p3.2xlarge was not available in us-east-1 and us-east-2, the first 60 % of 2023's
files: for track C where no availability file is named. Naming them with `--part 0:0.6` tells them again.
"""


@dataclass(frozen=True)
class Files:
    """What is read. Prices and on-demand prices for P and C, availability for A (and for C's spells)."""

    prices: tuple[Path, ...] = ()
    ondemand: Path | None = None
    availability: tuple[Path, ...] = ()
    advisor: Path | None = None
    types: Path | None = None


@dataclass(frozen=True)
class Wanted:
    """What is measured. `equivalents`: pools of equivalent types too (FLEX), else its own type's zones (AZ).

    `part`: shares of the time of the availability files; `days` empty: the track's own lengths.
    """

    track: Literal["P", "A", "C"]
    policies: tuple[str, ...] = ()
    equivalents: bool = True
    starts: int = STARTS
    seeds: int = 200
    days: tuple[float, ...] = ()
    part: tuple[float, float] = (0.0, 1.0)
    seed: int = 1
    workers: int = 1
    physics: Physics = field(default_factory=Physics)


def prepare(files: Files, wanted: Wanted) -> Job:
    """Reads the files. `InvalidInput` with the position of what is broken, `BadSetting` for a file that is missing."""
    track = {"P": _price_track, "A": _storm_track, "C": _calm_track}[wanted.track](files, wanted)
    chosen = policies(
        wanted.policies, wanted.physics.terminate_wait / 3600, wanted.physics.interruption_minutes
    )
    return Job(track, wanted.physics, chosen, WEIGHING, wanted.seed)


def told(job: Job, wanted: Wanted, advance: Callable[[], None]) -> dict[str, Any]:
    """The figures, as `spotguard backtest --json` gives them."""
    return told_of(job, wanted, measure(job, wanted.workers, advance))


def told_of(job: Job, wanted: Wanted, measured: dict[str, Runs]) -> dict[str, Any]:
    """The same of runs that were measured already."""
    figures = summary(measured, list(BASELINES), wanted.seed, wanted.physics.terminate_wait / 3600)
    return {
        "track": job.track.name,
        "windows": sum(len(group.windows) for group in job.track.groups),
        "workloads": [group.label for group in job.track.groups[:50]],
        "excluded": list(job.track.excluded),
        "physics": vars(wanted.physics),
        "seed": wanted.seed,
        **figures,
        **_by_length(job, measured),
        **_by_bucket(job, measured),
        **job.track.told(),
    }


steps = task_count


def _by_length(job: Job, measured: dict[str, Runs]) -> dict[str, Any]:
    """J of each window length apart: a long window spreads the first move."""
    lengths = [window.days for group in job.track.groups for window in group.windows]
    kinds = sorted({length for length in lengths if length is not None})
    if job.track.name == "C":
        return {}
    keys: dict[str, float | None] = {f"{kind:g} days": kind for kind in kinds}
    if None in lengths:
        keys["whole period"] = None
    return {
        "by_length": {
            key: _means(measured, [number for number, length in enumerate(lengths) if length == kind])
            for key, kind in keys.items()
        }
    }


def _by_bucket(job: Job, measured: dict[str, Runs]) -> dict[str, Any]:
    buckets = [group.bucket for group in job.track.groups for _ in group.windows]
    kinds = sorted({bucket for bucket in buckets if bucket is not None})
    if not kinds:
        return {}
    return {
        "by_bucket": {
            str(kind): _means(measured, [number for number, bucket in enumerate(buckets) if bucket == kind])
            for kind in kinds
        }
    }


def _means(measured: dict[str, Runs], numbers: Sequence[int]) -> dict[str, dict[str, float]]:
    return {
        name: {
            **{f"j{weight:g}": _mean(found, numbers, weight) for weight, found in runs.items()},
            "moves_per_30d": _moves(runs[WEIGHTS[0]], numbers),
        }
        for name, runs in measured.items()
    }


def _mean(outcomes: Sequence[Outcome], numbers: Sequence[int], weight: float) -> float:
    return rounded(float(np.mean([outcomes[number].j(weight) for number in numbers])))


def _moves(outcomes: Sequence[Outcome], numbers: Sequence[int]) -> float:
    months = sum(outcomes[number].seconds for number in numbers) / (30 * 86_400)
    return rounded(sum(outcomes[number].moves for number in numbers) / months)


# --- reading ------------------------------------------------------------------------------------------------------


def _price_track(files: Files, wanted: Wanted) -> Track:
    facts = _facts(files) if wanted.equivalents else None
    lengths = {"days": wanted.days} if wanted.days else {}
    return PriceTrack(_market(files), facts, _advisor(files), wanted.starts, **lengths)


def _storm_track(files: Files, wanted: Wanted) -> Track:
    if not files.availability:
        raise BadSetting("track A replays availability: name its file with --availability")
    worlds, excluded = storm_worlds(read_availability(files.availability), _ondemand(files))
    lengths = {"days": wanted.days} if wanted.days else {}
    return StormTrack(worlds, excluded, wanted.part, wanted.starts, **lengths)


def _calm_track(files: Files, wanted: Wanted) -> Track:
    lengths = {"days": wanted.days[0]} if wanted.days else {}
    return CalmTrack(
        _market(files),
        _facts(files) if wanted.equivalents else None,
        _advisor(files),
        _spells(files, wanted.part),
        wanted.seeds,
        wanted.seed,
        spells_from=[path.name for path in files.availability],
        **lengths,
    )


def _spells(files: Files, part: tuple[float, float]) -> Floats:
    if not files.availability:
        return 60 * np.array(SPELL_MINUTES)
    return observed_spells(storm_worlds(read_availability(files.availability), _ondemand(files))[0], part)


def _market(files: Files) -> PriceMarket:
    if not files.prices:
        raise BadSetting("this track replays prices: name their files with --prices")
    if files.ondemand is None:
        raise BadSetting("what is saved is measured against on-demand: name its prices with --ondemand")
    history, broken = load_price_history(files.prices)
    if broken:
        first = broken[0]
        names = ", ".join(path.name for path in files.prices)
        raise InvalidInput(f"{names}, line {first.line_number}: {first.reason}")
    return price_market(history, _ondemand(files))


def _ondemand(files: Files) -> OndemandPrices:
    if files.ondemand is None:
        return {}
    prices, broken = read_ondemand_prices(files.ondemand)
    if broken:
        raise InvalidInput(f"{files.ondemand.name}, line {broken[0].line_number}: {broken[0].reason}")
    return prices


def _advisor(files: Files) -> list[Snapshot]:
    return [] if files.advisor is None else read_advisor(files.advisor)


def _facts(files: Files) -> Facts:
    return shipped() if files.types is None else read_type_facts(files.types)
