"""Schedules of faults: the shipped code under one seed, invariants after every step, then calm and convergence.

The same seed gives the same schedule, the same world and the same outcome, bit for bit (`Outcome.fingerprint`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import sqlalchemy as sa

from spotguard.cloud.simulated.state import Machine
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.traffic import Route, told_of
from spotguard.simulation import crowd, lookups, promises, waiting
from spotguard.simulation.audit import judge
from spotguard.simulation.drawing import HOURS, ORDINARY, Temper, schedule_of
from spotguard.simulation.fault_kinds import Fault, Scene
from spotguard.simulation.faults import begin, end_all
from spotguard.simulation.market import synthetic
from spotguard.simulation.process import Rhythm
from spotguard.simulation.records import Register
from spotguard.simulation.rehearsed import rehearsals_end
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.simulation.witness import Witness
from spotguard.simulation.world import World, WorldPlan
from spotguard.store.tables import switch_steps

AGENTS = 4
COORDINATORS = 2
SETTLED_AFTER = timedelta(minutes=10)  # invariant 18: no open step past its deadline, no orphan
SERVED_AFTER = timedelta(minutes=30)  # a recovery that began when faults stopped has ended
HANDED_OVER_WITHIN = timedelta(minutes=3)  # a move that is under way at that moment, with the TTL of a name
AFTERSHOCK = timedelta(minutes=15)  # for a recovery by the volume, where the notice found no standby
PRICE_LOOKS = (300.0, 600.0, 900.0)  # `spotguard agent` looks every 900 s, without EC2 of its own never
SYNCS = (10.0, 20.0, 30.0)


@dataclass(frozen=True)
class Outcome:
    """Of one schedule. `violations` holds a sentence each, with the simulated second at which it was seen."""

    seed: int
    violations: tuple[str, ...]
    faults_reached: Counter[str]
    steps_reached: Counter[str]
    invariants_checked: int
    fingerprint: str
    cpu_seconds: float


_OWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # of rows: new in each run


class _Enough(Exception):
    """No error: the first violation was all that was wanted."""


def run(
    seed: int,
    faults: Sequence[Fault] | None = None,
    hours: float = HOURS,
    *,
    temper: Temper = ORDINARY,
    elides: bool = True,
    only_first: bool = False,
) -> Outcome:
    """One schedule, its own by default. `faults` replaces it: to shrink a failing one, or to try one by hand.

    `elides` False runs what could only repeat the last answer too, for the same outcome.
    `only_first`: it ends with the first violation.
    """
    began = time.process_time()
    campaign = _Campaign(seed, hours, faults, temper, elides=elides)
    campaign.only_first = only_first
    try:
        with suppress(_Enough):
            campaign.live()
            campaign.converge()
        return campaign.outcome(time.process_time() - began)
    finally:
        campaign.world.close()


class _Campaign:
    def __init__(
        self,
        seed: int,
        hours: float,
        faults: Sequence[Fault] | None,
        temper: Temper = ORDINARY,
        *,
        elides: bool = True,
    ) -> None:
        self.seed, self.hours = seed, hours
        self.dice = dice = Random(f"world:{seed}")
        db = TroubledDatabase.fresh(Random(f"database:{seed}"))
        plan = WorldPlan(
            market=synthetic(seed % 16, days=1),
            agents=AGENTS,
            seed=seed,
            executor=dice.choice(list(Executor)),
            coordinators=COORDINATORS,
            troubled=True,
            rhythm=Rhythm(dice.choice(PRICE_LOOKS), dice.choice(SYNCS)),
            elides=elides,
        )
        self.witness = Witness()
        self.for_ec2, self.for_a_line = waiting.ForEc2(self.witness.refused), waiting.ForALine()
        self.world = World(plan, db, self.witness.reach)
        self.only_first = False
        own = schedule_of(seed, self._names(), hours, temper=temper)
        self.faults = own if faults is None else tuple(faults)
        self.reached: Counter[str] = Counter()
        self.violations: list[str] = []
        self.checked = 0
        self._modes(dice)
        self.routes = {name: self._route(name, dice) for name in self._names()}

    def _names(self) -> list[str]:
        return [server.name for server in self.world.servers]

    def _modes(self, dice: Random) -> None:
        """Some keep a standby, some switch by themselves; short waits, so that more happens in six hours."""
        for name in self._names():
            wish = {"terminateWaitSeconds": dice.choice([0, 60, 600]), "minPoolHours": 0}
            mode = dice.choice(["manualReplicaEnabled", "autoSwitchEnabled", "autoSwitchEnabled"])
            crowd.configure(self.world, name, {**wish, mode: True})

    def _route(self, name: str, dice: Random) -> Route | None:
        """Some are known by an address, some by a name, some stand behind a load balancer."""
        traffic = self.world.ec2.traffic
        made: tuple[Callable[[], Route | None], ...] = (
            traffic.add_address,
            traffic.add_target_group,
            lambda: traffic.add_zone(f"{name}.example.internal"),
            lambda: None,
        )
        route = dice.choice(made)()
        if route is not None:
            crowd.configure(self.world, name, {"traffic": told_of(route)})
        return route

    def live(self) -> None:
        world = self.world
        for number, fault in enumerate(self.faults):
            at = world.started_at + timedelta(seconds=fault.at_seconds)
            world.schedule.plan(("fault", number), at, lambda number=number: self._strike(number))  # type: ignore[misc]
        self._until(timedelta(hours=self.hours))

    def _strike(self, number: int) -> None:
        fault = self.faults[number]
        if begin(Scene(self.world, fault, Random(f"{self.seed}:{number}:{fault.kind}"))):
            self.reached[fault.kind.value] += 1

    def _until(self, since_start: timedelta) -> None:
        world = self.world
        until = world.started_at + since_start
        while world.step(until):
            self._check()
        self._check()

    def _check(self) -> None:
        """After every step: no record was taken by two instances at once, and nobody raised what nobody foresaw."""
        self.checked += 1
        for what in promises.taken_from_who_serves(self.world):
            self._broken(what)
        for name, register in self.world.registers.items():
            while register.overlaps:
                self._broken(f"{name}: {register.overlaps.pop()}")
        for watcher in (self.witness, self.for_ec2, self.for_a_line):
            for complaint in watcher.complaints(self.world):
                self._broken(complaint)
        while self.world.link.failures:
            self._broken(f"the server failed: {self.world.link.failures.pop()}")
        while self.world.surprises:
            surprise = self.world.surprises.pop()
            if "No space left on device" not in surprise:
                self._broken(surprise)

    def converge(self) -> None:
        """Faults stop, the system converges (invariant 18)."""
        end_all(self.world)
        self._until(timedelta(hours=self.hours) + SETTLED_AFTER)
        now = self.world.clock.now()
        for row in lookups.moves(self.world):
            if row.status == "preparing" and row.deadline_at is not None and row.deadline_at < now:
                self._broken(f"switch {row.id} is open past its deadline")
        self._until(timedelta(hours=self.hours) + SERVED_AFTER)
        if self._unserved():
            self._until(timedelta(hours=self.hours) + SERVED_AFTER + HANDED_OVER_WITHIN)
        for what in (*self._unserved(), *promises.untrue(self.world), *rehearsals_end(self.world)):
            self._broken(what)
        self._aftershock()
        self._judge()

    def _aftershock(self) -> None:
        """After all that a clean notice still hands over, without a record lost: nobody has gone deaf or got stuck.

        Whoever is on demand gets none, and dies: its recovery serves, what it may lack `losses_are_told` judges. So it
        does where the weather takes the next holder without a word.
        """
        taken = {name: self._taken(register) for name, register in self.world.registers.items()}
        lost = {name: len(register.losses) for name, register in self.world.registers.items()}
        self._until(self.world.clock.now() - self.world.started_at + AFTERSHOCK)
        for name, register in self.world.registers.items():
            victim = taken[name]
            if victim is None:
                continue
            if register.serving() in ([], [victim.instance_id]):
                self._broken(f"{name} is served by {register.serving()} after the end of its holder in calm")
            if victim.mode is not Mode.SPOT:
                continue
            for loss in register.losses[lost[name] :]:
                if register.served_before(loss.at) == victim.instance_id:
                    self._broken(f"{name} lost {loss.count} records by a notice in calm")

    def _taken(self, register: Register) -> Machine | None:
        """EC2 takes back what serves, or its hardware fails where it is on demand; None where nobody serves."""
        for instance_id in map(InstanceId, register.serving()):
            machine, controls = self.world.ec2.world.machines[instance_id], self.world.ec2.controls
            (controls.interrupt if machine.mode is Mode.SPOT else controls.fail_instance)(instance_id)
            return machine
        return None

    def _unserved(self) -> list[str]:
        """Each by one instance, and however it was disturbed, traffic goes to the holder and to nobody else."""
        told = [
            (name, f"{name} is served by {register.serving()} half an hour after the last fault")
            for name, register in self.world.registers.items()
            if len(register.serving()) != 1
        ]
        for name, route in self.routes.items():
            agent = lookups.agent(self.world, name)
            if route is None or agent.traffic != told_of(route) or not agent.enabled:
                continue
            led = self.world.ec2.traffic.leads_to(route)
            if led != {agent.instance_id}:
                where = f"{name}: clients are sent to {sorted(led)}, {agent.instance_id} holds the epoch"
                told.append((name, where))
        return [what for name, what in told if not waiting.for_a_person(self.world, name)]

    def _judge(self) -> None:
        self.world.settle()
        verdict = judge(self.world, self.for_ec2.excused | self.for_a_line.excused)
        self.checked += verdict.checked
        for what in verdict.broken:
            self._broken(what)
        for what in verdict.orphans:
            self._broken(f"orphan: {what}")

    def _broken(self, what: str) -> None:
        second = (self.world.clock.now() - self.world.started_at).total_seconds()
        self.violations.append(f"{second:.0f} s: {what}")
        if self.only_first:
            raise _Enough

    def outcome(self, cpu_seconds: float) -> Outcome:
        world = self.world
        steps = world.db.read(lambda tx: list(tx.execute(sa.select(switch_steps.c.step, switch_steps.c.at))))
        told = [f"{row.step} {row.at.isoformat()}" for row in steps]
        told += [f"{name} {register.sessions}" for name, register in sorted(world.registers.items())]
        told += [str(world.meter_usd()), *(_OWN_ID.sub("", what) for what in self.violations)]
        return Outcome(
            seed=self.seed,
            violations=tuple(self.violations),
            faults_reached=self.reached,
            steps_reached=Counter(row.step for row in steps),
            invariants_checked=self.checked,
            fingerprint=hashlib.sha256("\n".join(told).encode()).hexdigest()[:16],
            cpu_seconds=cpu_seconds,
        )
