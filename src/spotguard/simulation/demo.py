"""A demo: a world, its script, and its verdict at the end."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from spotguard.cloud.simulated.physics import Climate
from spotguard.domain.errors import InvalidInput
from spotguard.simulation.audit import judge
from spotguard.simulation.market import replayed, synthetic
from spotguard.simulation.script import Script, acts_of
from spotguard.simulation.summary import summary_of
from spotguard.simulation.world import World, WorldPlan
from spotguard.store import tenants
from spotguard.store.database import Database

TOLD_EVERY = timedelta(minutes=30)  # of simulated time


@dataclass(frozen=True)
class DemoOptions:
    """What the command line asked for."""

    prices: tuple[Path, ...]
    ondemand: Path | None
    agents: int
    days: float
    seed: int
    database_url: str
    public_url: str = WorldPlan.public_url


class Demo:
    """`run` plays it to the end; `InvalidInput` at once when the market does not suffice."""

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        market = (
            replayed(options.prices, options.ondemand, options.days)
            if options.prices
            else synthetic(options.seed, options.days)
        )
        climate = Climate(stormy=market.stormy)
        db = Database.open(options.database_url)
        db.upgrade()
        if db.read(tenants.list_clients):
            raise InvalidInput("this database is in use: a demo wants an empty one")
        plan = WorldPlan(
            market=market,
            agents=options.agents,
            seed=options.seed,
            climate=climate,
            public_url=options.public_url,
        )
        self.stopping = threading.Event()  # whoever sets it is shown what was reached
        self._began = time.perf_counter()
        self.world = World(plan, db)
        self.script = Script(self.world, acts_of([server.name for server in self.world.servers]))
        self.script.tell("the demo begins")  # its database is a demo's before the first act, too
        self.ends_at = self.world.started_at + timedelta(days=options.days)

    @property
    def total_seconds(self) -> float:
        return (self.ends_at - self.world.started_at).total_seconds()

    def run(self, on_progress: Callable[[float], None]) -> dict[str, Any]:
        world = self.world
        gc.collect()
        gc.freeze()  # a price history of years is not looked through again and again
        while world.clock.now() < self.ends_at and not self.stopping.is_set():
            world.run_until(min(self.ends_at, world.clock.now() + TOLD_EVERY))
            on_progress((world.clock.now() - world.started_at).total_seconds())
        return self.finish()

    def finish(self) -> dict[str, Any]:
        """Settle the ledger, audit everything, sum up."""
        now = self.world.clock.now()
        interrupted = now < self.ends_at
        if (
            now.microsecond
        ):  # EC2 bills whole seconds: at any other instant meter and ledger are a fraction apart
            self.world.run_until(now.replace(microsecond=0) + timedelta(seconds=1))
        self.world.settle()
        verdict = judge(self.world)
        wall_seconds = time.perf_counter() - self._began
        return summary_of(self.world, verdict, wall_seconds, self.script.waiting, interrupted=interrupted)

    def close(self) -> None:
        self.world.close()
