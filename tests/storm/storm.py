"""A whole zone is taken at one instant: half of its workloads have a standby, half have none; people click elsewhere.

The shipped server, two coordinators and agents on the simulated EC2, with its limits of calls. `bystanders` are in
other zones: their users order moves in the same instant, which ask for the same few launches a second.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.physics import STILL, Quotas
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.signals import SignalType
from spotguard.simulation import audit, crowd, lookups
from spotguard.simulation.market import synthetic
from spotguard.simulation.world import World, WorldPlan
from spotguard.store.database import Database
from spotguard.store.tables import intentions, spot_interruption_events, switches
from tests.storm.statements import Statements, listening

ZONE = "us-east-1a"
MOST_TOLD = 20
# not the meter: it credits what the owners' machines had cost before SpotGuard came, once their first hour is waived
CHECKS = (
    audit.one_writer,
    audit.nothing_lost_on_planned_moves,
    audit.losses_are_told,
    audit.asked_once,
    audit.nobody_doomed_is_promoted,
    audit.nothing_doubled,
    audit.everybody_serves,
    audit.counters,
    audit.orphans_of,
    lambda world: [str(breach) for breach in world.coordinator.check_invariants(world.clock.now())],
)
STANDBYS_WITHIN = timedelta(minutes=40)
OVER_AFTER = timedelta(minutes=12)


@dataclass(frozen=True)
class Aftermath:
    """What became of it.

    Seconds of wall clock and processor are of this machine, from the first notice delivered to the last decision
    committed: all that the one process does meanwhile for server, coordinators and agents together.
    """

    agents: int
    standbys_ready: int
    decided: int
    decided_wall_seconds: float
    decided_cpu_seconds: float
    decided_simulated_seconds: float
    statements_per_signal: float
    load_average: float
    served_again: int
    records_lost: int
    overlaps: int
    longest_gap_seconds: float
    rescue_launches: int
    first_rescues_launched_after_seconds: float
    voluntary_launches_meanwhile: int
    broken: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        complete = self.decided == self.served_again == self.agents
        return complete and not (self.records_lost or self.overlaps or self.broken)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Decisions:
    """How many signals were answered, when the last was, and what it took."""

    decided: int
    at: datetime
    statements: Statements
    load_average: float


class Storm:
    """`agents` in one zone, of which every other one has a standby, and `bystanders` elsewhere."""

    def __init__(self, agents: int, bystanders: int, executor: Executor, seed: int = 1) -> None:
        db = Database.open("sqlite://")
        db.upgrade()
        self.world = World(
            WorldPlan(
                market=synthetic(seed, days=1),
                agents=agents + bystanders,
                seed=seed,
                climate=STILL,
                executor=executor,
                coordinators=2,
                servers_mode=Mode.SPOT,
                zones_of_first=[ZONE] * agents,
                quotas=Quotas(usual=20_000),
            ),
            db,
        )
        names = [server.name for server in self.world.servers]
        self.stricken, self.bystanders = names[:agents], names[agents:]

    def run(self) -> Aftermath:
        ready = self._prepare()
        at = self.world.clock.now()
        taken = self._strike()
        took = self._decisions(list(taken.values()), at)
        self.world.run_until(at + OVER_AFTER)
        return self._aftermath(ready, taken, at, took)

    def _prepare(self) -> int:
        """Every other one is told to keep a standby; how many are ready."""
        world = self.world
        world.run_for(minutes=3)  # the first prices come
        kept = self.stricken[::2]
        for name in self.stricken:
            mode = "manualReplicaEnabled" if name in kept else "autoSwitchEnabled"
            crowd.configure(world, name, {mode: True, "autonomy": "observe"})
        until = world.clock.now() + STANDBYS_WITHIN
        while (ready := self._ready(kept)) < len(kept) and world.clock.now() < until:
            world.run_for(minutes=1)
        return ready

    def _ready(self, names: list[str]) -> int:
        world = self.world
        return sum(lookups.ready_replica(world, lookups.agent(world, name).id) is not None for name in names)

    def _strike(self) -> dict[str, InstanceId]:
        """People click, and in the same instant EC2 takes the zone."""
        for name in self.bystanders:
            agent = lookups.agent(self.world, name)
            wish = {"target": "ondemand"}
            self.world.call("POST", f"/api/client/instances/{agent.instance_id}/force-switch", wish)
        taken = {name: InstanceId(self.world.registers[name].serving()[0]) for name in self.stricken}
        for instance_id in taken.values():
            self.world.ec2.controls.interrupt(instance_id)
        return taken

    def _decisions(self, instances: list[InstanceId], at: datetime) -> Decisions:
        """Until every signal has its answer with what it needs: a move or a replica."""
        world, until = self.world, at + timedelta(seconds=100)
        decided, heard = 0, world.link.calls["interruption-signal"]
        with listening(world.db) as statements:
            while decided < len(instances) and world.clock.now() < until:
                world.step(until)
                if world.link.calls["interruption-signal"] - heard >= len(instances):
                    decided = self._decided(instances)
        return Decisions(self._decided(instances), world.clock.now(), statements, os.getloadavg()[0])

    def _decided(self, instances: list[InstanceId]) -> int:
        told = spot_interruption_events.c
        wanted = (
            sa.select(sa.func.count())
            .select_from(spot_interruption_events)
            .where(
                told.signal_type == SignalType.TERMINATION.value,
                told.instance_id.in_(instances),
                sa.or_(told.switch_id.is_not(None), told.replica_id.is_not(None)),
            )
        )
        return self.world.db.read(lambda tx: tx.execute(wanted).scalar_one())

    def _aftermath(
        self,
        ready: int,
        taken: dict[str, InstanceId],
        at: datetime,
        took: Decisions,
    ) -> Aftermath:
        world = self.world
        registers = {name: world.registers[name] for name in self.stricken}
        served = [n for n, r in registers.items() if len(r.serving()) == 1 and r.serving() != [taken[n]]]
        rescues, voluntary = self._launches(at, voluntary=False), self._launches(at, voluntary=True)
        first_wave = sorted(rescues)[
            : len(self.stricken) - ready
        ]  # recoveries of what did not come in time follow
        last = max(first_wave, default=at)
        wall, cpu = took.statements.seconds
        world.settle()
        broken = [line for check in CHECKS for line in check(world)]
        return Aftermath(
            agents=len(self.stricken),
            standbys_ready=ready,
            decided=took.decided,
            decided_wall_seconds=round(wall, 2),
            decided_cpu_seconds=round(cpu, 2),
            decided_simulated_seconds=(took.at - at).total_seconds(),
            statements_per_signal=took.statements.per_signal,
            load_average=round(took.load_average, 1),
            served_again=len(served),
            records_lost=sum(loss.count for r in registers.values() for loss in r.losses),
            overlaps=sum(len(r.overlaps) for r in world.registers.values()),
            longest_gap_seconds=max(self._gap(name, at) for name in self.stricken),
            rescue_launches=len(rescues),
            first_rescues_launched_after_seconds=(last - at).total_seconds(),
            voluntary_launches_meanwhile=sum(took.at < moment < last for moment in voluntary),
            broken=tuple(broken[:MOST_TOLD]),
        )

    def _gap(self, name: str, at: datetime) -> float:
        return round(self.world.registers[name].downtime_seconds(at, self.world.clock.now()), 1)

    def _launches(self, since: datetime, *, voluntary: bool) -> list[datetime]:
        """When EC2 had launched what the server asked for after the storm began."""
        made = (
            sa.select(intentions.c.closed_at)
            .outerjoin(switches, switches.c.id == intentions.c.switch_id)
            .where(
                intentions.c.status == "done",
                intentions.c.closed_at >= since,
                intentions.c.voluntary.is_(voluntary),
            )
        )
        return list(self.world.db.read(lambda tx: tx.execute(made).scalars().all()))

    def close(self) -> None:
        self.world.close()
