"""Every policy in every window of a track, in one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial

from spotguard.backtest import hindsight
from spotguard.backtest.account import Outcome
from spotguard.backtest.alarm import Alarm
from spotguard.backtest.calm import with_signals
from spotguard.backtest.clairvoyant import optimum
from spotguard.backtest.physics import Physics
from spotguard.backtest.policy import Make, Policies
from spotguard.backtest.simulator import run
from spotguard.backtest.tracks import Group, Track
from spotguard.backtest.world import World
from spotguard.workers import process_pool

CLAIRVOYANT = "clairvoyant"
WEIGHTS = (10.0, 100.0, 1000.0)
"""λ of the profiles stateless, stateful and critical."""

Runs = dict[float, list[Outcome]]
"""Outcomes by weight, in the order of groups and windows."""


@dataclass(frozen=True)
class Job:
    """What a process needs to know; it makes the worlds itself."""

    track: Track
    physics: Physics
    policies: Policies
    weighing: frozenset[str]  # policies that decide by the value of a minute: run once for each weight
    seed: int = 1
    weights: tuple[float, ...] = WEIGHTS


def measure(job: Job, workers: int, told: Callable[[], None]) -> dict[str, Runs]:
    """Outcomes by policy, the clairvoyant among them. `told` is called once for each group and policy."""
    names = names_of(job)
    tasks = [(group, name) for group in range(len(job.track.groups)) for name in names]
    found: dict[tuple[int, str], Runs] = {}
    for group, name, runs in _results(job, tasks, workers):
        found[group, name] = runs
        told()
    groups = range(len(job.track.groups))
    return {
        name: {
            weight: [outcome for group in groups for outcome in found[group, name][weight]]
            for weight in job.weights
        }
        for name in names
    }


def names_of(job: Job) -> list[str]:
    """The policies, and what they are measured by; in a storm also what a causal policy could hope for."""
    marks = [hindsight.NAME, CLAIRVOYANT] if job.track.name == "A" else [CLAIRVOYANT]
    return [*job.policies, *marks]


def task_count(job: Job) -> int:
    return len(job.track.groups) * len(names_of(job))


def _results(job: Job, tasks: Sequence[tuple[int, str]], workers: int) -> Iterator[tuple[int, str, Runs]]:
    if workers == 1:
        bench = Bench(job)
        for group, name in tasks:
            yield group, name, bench.runs(group, name)
        return
    with process_pool(workers, _begin, job) as pool:
        waiting = {pool.submit(_work, *task): task for task in tasks}
        for done in as_completed(waiting):
            group, name = waiting[done]
            yield group, name, done.result()


class Bench:
    """Keeps the world of the group that it worked on last."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._made: tuple[int, World, Alarm] | None = None

    def runs(self, group: int, name: str) -> Runs:
        world, alarm = self._world(group)
        places = self._job.track.groups[group]
        if name == CLAIRVOYANT:
            best = [optimum(world, self._job.physics, w.start, w.end) for w in places.windows]
            return dict.fromkeys(self._job.weights, best)
        weighs = name in self._job.weighing or name == hindsight.NAME
        weights = self._job.weights if weighs else self._job.weights[:1]
        runs = {weight: self._run(places, world, alarm, name, weight) for weight in weights}
        return {weight: runs.get(weight, runs[weights[0]]) for weight in self._job.weights}

    def _run(self, group: Group, world: World, alarm: Alarm, name: str, weight: float) -> list[Outcome]:
        minute_usd = weight * world.ondemand_usd / 60
        physics = self._job.physics
        if name == hindsight.NAME:
            first, last = min(w.start for w in group.windows), max(w.end for w in group.windows)
            solved = hindsight.hindsight(world, physics, first, last, minute_usd)
            make: Make = partial(_same, solved)
        else:
            make = self._job.policies[name]
        return [run(world, make(), physics, w.start, w.end, minute_usd, alarm) for w in group.windows]

    def _world(self, group: int) -> tuple[World, Alarm]:
        if self._made is None or self._made[0] != group:
            world = self._job.track.world(self._job.track.groups[group])
            if self._job.physics.rebalance:
                world = with_signals(world, self._job.seed)
            self._made = (group, world, Alarm(world))
        return self._made[1], self._made[2]


_bench: list[Bench] = []


def _begin(job: Job) -> None:
    _bench.append(Bench(job))


def _work(group: int, name: str) -> Runs:
    return _bench[0].runs(group, name)


def _same(policy: hindsight.Hindsight) -> hindsight.Hindsight:
    """It remembers nothing, so that one serves all windows."""
    return policy
