"""The whole system in one process: simulated EC2, shipped server, coordinator and agents, one queue of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.physics import Climate, Physics, Quotas
from spotguard.cloud.simulated.settings import Settings as CloudSettings
from spotguard.cloud.simulated.state import Happening, HappeningKind
from spotguard.cloud.simulated.traffic import SimulatedTraffic
from spotguard.compose import DEMO_API, ControlPlane, compose
from spotguard.config import Settings
from spotguard.coordinator.context import logged
from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.agents import Executor
from spotguard.domain.errors import SpotGuardError
from spotguard.domain.ids import ClientId, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import Cloud
from spotguard.ports.server import Reply
from spotguard.simulation.clock import VirtualClock
from spotguard.simulation.link import SimulatedLink
from spotguard.simulation.machine import Fabric, state_of
from spotguard.simulation.market import DemoMarket
from spotguard.simulation.process import AgentProcess, Rhythm, Surroundings, name_in
from spotguard.simulation.records import Records, Register
from spotguard.simulation.schedule import Schedule
from spotguard.simulation.seats import Seat, Seating
from spotguard.simulation.servers import launch_servers
from spotguard.simulation.stillness import Stillness
from spotguard.simulation.trouble import Trouble
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.simulation.wakeups import SimulatedWakeup
from spotguard.store import tenants
from spotguard.store.database import Database, is_lost_race

WARM_UP = timedelta(minutes=10)  # the users' servers boot before the story begins
BETWEEN_PASSES = timedelta(seconds=10)  # ruling B5
NOTE_POLL = timedelta(seconds=1)  # the beat at which a standby looks for what was delivered to it
SIGNAL_POLL = timedelta(seconds=1)  # the beat at which an agent reads its metadata
FIRST_EPOCH = 1
OTHERS_CHECK = timedelta(
    hours=1
)  # the first coordinator's checks of the invariants are those of all: they read the same rows
NETWORK_DELAY = timedelta(milliseconds=50)  # a wake-up reaches its agent or the coordinator this much later
# not ENDING: a guest may run, and write, until EC2 says that it is over (ruling B4)
_ENDS = frozenset({HappeningKind.TERMINATED, HappeningKind.STOPPED, HappeningKind.REBOOTED})


@dataclass(frozen=True)
class WorldPlan:
    """What is to be simulated. The same plan gives the same run."""

    market: DemoMarket
    agents: int
    seed: int
    climate: Climate = field(default_factory=Climate)
    physics: Physics = field(default_factory=Physics)
    executor: Executor = Executor.AGENT
    coordinators: int = 1
    rhythm: Rhythm = field(default_factory=Rhythm)
    elides: bool = False  # what could only repeat the last answer is left out (`stillness`)
    servers_mode: Mode = Mode.ONDEMAND
    zones_of_first: Sequence[str] = ()  # where the first servers are; the others take the zones in turn
    quotas: Quotas = field(default_factory=Quotas)
    public_url: str = "http://127.0.0.1:8000"  # by which launched instances are told to reach the server
    troubled: bool = False  # processes, lines, disks and clocks may fail: `World.trouble_of`


def coordinator_name(number: int) -> str:
    """Under which its trouble is found."""
    return f"coordinator-{number}"


@dataclass(frozen=True)
class Reach:
    """By what the server and the agents call EC2, each with its own rights. No `server`: agents call alone."""

    server: Cloud | None
    agents: Cloud


def in_process(ec2: SimulatedEc2) -> Reach:
    """Both call the simulator itself, which asks nobody for permission."""
    return Reach(ec2, ec2)


class World:
    """Owns the clock and the queue; everything else is the shipped code behind its ports."""

    def __init__(
        self, plan: WorldPlan, db: Database, reach: Callable[[SimulatedEc2], Reach] = in_process
    ) -> None:
        market = plan.market
        self.plan, self.db = plan, db
        self.clock = VirtualClock(market.start - WARM_UP)
        self.ec2 = SimulatedEc2(
            self.clock,
            plan.seed,
            market.history,
            {(market.region, kind): usd for kind, usd in market.ondemand.items()},
            settings=CloudSettings(
                region=market.region,
                physics=plan.physics,
                climate=plan.climate,
                quotas=plan.quotas,
                blank=Records,
            ),
        )
        self.servers = launch_servers(
            self.ec2,
            self.clock,
            market,
            plan.agents,
            market.start,
            mode=plan.servers_mode,
            zones_of_first=plan.zones_of_first,
        )
        self.ec2.happenings()  # the users' servers have been up for a while
        self.reach = reach(self.ec2)
        self.wakeups = SimulatedWakeup()
        self.schedule = Schedule()
        self.client_id, self.client_token = self._tenant()
        self.plane = self._control_plane()
        self.link = SimulatedLink(self.plane.app)
        self._people = SimulatedLink(self.plane.app)
        self.troubles: dict[str, Trouble] = {}
        self.server_is_away = False
        self.stops: list[tuple[datetime, str, str]] = []  # each turn of a kill switch: when, scope, level
        self.surprises: list[str] = []  # what duties raised that nobody foresaw
        self._around = self._surroundings()
        self._around.fabric.arrived = self._note_arrived
        if plan.troubled:
            self._around.trouble_of, self._around.raised = self.trouble_of, self._surprised
        self.registers = {server.name: Register() for server in self.servers}
        self.ec2.traffic.answering = self._serves_since
        self.processes: dict[InstanceId, AgentProcess] = {}
        self._asleep: dict[InstanceId, AgentProcess] = {}  # on the root disks of hibernated machines
        self._install()
        self._stillness = self._still()
        self.seats = [self._seat(number) for number in range(plan.coordinators)]
        for number in range(plan.coordinators):
            self._plan_pass(number, self.clock.now())

    # what a story, a script or a person does

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """A request of the demo's tenant, whose line to the server is not the agents'."""
        return self._people.call(method, path, token=self.client_token, body=body)

    def run_until(self, moment: datetime, on_step: Callable[[], None] | None = None) -> None:
        while self.step(moment):
            if on_step is not None:
                on_step()

    def run_for(self, **span: float) -> None:
        self.run_until(self.clock.now() + timedelta(**span))

    def step(self, until: datetime) -> bool:
        """Live through the next instant at which anything happens; False when `until` is reached first."""
        moment = self.next_at()
        if moment is None or moment > until:
            self.clock.move_to(until)
            self.ec2.advance()
            self._react()
            return False
        self.clock.move_to(moment)
        self._react()
        now = self.clock.now()
        while (due := self.schedule.next_at()) is not None and due <= now:
            self.schedule.pop()()
            self._react()
        return True

    def next_at(self) -> datetime | None:
        times = [at for at in (self.schedule.next_at(), self.ec2.next_event_at()) if at is not None]
        return min(times, default=None)

    def boot(self, instance_id: InstanceId) -> None:
        """The machine is up: its agent's process starts."""
        self.kill(instance_id)
        name = self._installed.get(instance_id)
        named = name or name_in(self.ec2.world.machines[instance_id].user_data)
        if named is None:
            return  # a machine that has nothing to do with SpotGuard
        process = AgentProcess(self._around, instance_id, self.registers[named], name or "")
        self.processes[instance_id] = process
        process.start()

    def kill(self, instance_id: InstanceId, at: datetime | None = None) -> None:
        """The guest is down: no process of it runs on, the workload included."""
        self._asleep.pop(instance_id, None)
        process = self.processes.pop(instance_id, None)
        if process is not None:
            process.stop()
            process.register.rehearsing.discard(instance_id)
            process.register.closed(instance_id, at or self.clock.now())

    def take_server_away(self) -> None:
        """Neither answers nor works until it is brought back; its database stays as it is."""
        self.server_is_away = self.link.away = True

    def bring_server_back(self) -> None:
        self.server_is_away = self.link.away = False

    def meter_usd(self) -> Decimal:
        """What EC2's own meter has counted since the agents were installed."""
        return self.ec2.meter_usd(since=self.started_at)

    def trouble_of(self, whose: str) -> Trouble:
        """What is wrong with the agent of this instance, or with this coordinator."""
        if whose not in self.troubles:
            self.troubles[whose] = Trouble(Random(f"{self.plan.seed}:{whose}"))
        return self.troubles[whose]

    def settle(self) -> None:
        """The ledger up to now, after a fresh look at EC2."""
        self.coordinator.run_pass()
        self.coordinator.settle(self.clock.now())

    @property
    def fabric(self) -> Fabric:
        """The lines between the instances."""
        return self._around.fabric

    @property
    def coordinator(self) -> Coordinator:
        return self.seats[0].coordinator

    @property
    def started_at(self) -> datetime:
        return self.plan.market.start

    def close(self) -> None:
        self.db.dispose()

    def _react(self) -> None:
        for happening in self.ec2.happenings():
            self._happened(happening)
        coordinator, instances = self.wakeups.drain()
        soon = self.clock.now() + NETWORK_DELAY
        if coordinator:
            for number, seat in enumerate(self.seats):
                seat.stir()
                self._plan_pass(number, soon)
        for instance_id in instances:
            process = self.processes.get(InstanceId(instance_id))
            if process is not None:
                process.wake("commands", soon)

    def _happened(self, happening: Happening) -> None:
        if happening.kind is HappeningKind.BOOTED:
            self.boot(happening.instance_id)
        elif happening.kind is HappeningKind.HIBERNATED:
            self._sleep(happening)
        elif happening.kind is HappeningKind.RESUMED:
            self._resume(happening.instance_id)
        elif happening.kind in _ENDS:
            self.kill(happening.instance_id, happening.at)
        elif happening.kind is HappeningKind.SIGNALLED and happening.instance_id in self.processes:
            self.processes[happening.instance_id].signalled(happening.at + SIGNAL_POLL)

    def _sleep(self, happening: Happening) -> None:
        process = self.processes.pop(happening.instance_id, None)
        if process is not None:
            process.stop()
            process.register.sleeps(happening.instance_id, happening.at)
            self._asleep[happening.instance_id] = process

    def _resume(self, instance_id: InstanceId) -> None:
        """Workload and agent go on in the midst of what they did, and know nothing of the time between.

        A machine that was put to sleep in the midst of a boot goes on with that.
        """
        process = self._asleep.pop(instance_id, None)
        if process is None:
            self.boot(instance_id)
            return
        self.processes[instance_id] = process
        process.register.wakes(instance_id, self.clock.now())
        process.resume()

    def _note_arrived(self, instance_id: InstanceId) -> None:
        """Its agent looks every second."""
        process = self.processes.get(instance_id)
        if process is not None:
            process.wake("tickets", self.clock.now() + NOTE_POLL)

    def _coordinate(self, number: int) -> None:
        now = self.clock.now()
        away = self.server_is_away
        self._plan_pass(number, now + BETWEEN_PASSES if away else self.seats[number].run_pass(now))

    def _plan_pass(self, number: int, at: datetime) -> None:
        self.schedule.plan(("coordinator", number), at, partial(self._coordinate, number))

    def _still(self) -> Stillness | None:
        """None where every pass runs, or nobody can watch the rows."""
        if not (self.plan.elides and isinstance(self.db, TroubledDatabase)):
            return None
        return Stillness(self.db, self.ec2)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            self.ec2,
            self.reach.agents,
            self.clock,
            self.schedule,
            self.link,
            self.client_token,
            self.plan.rhythm,
            self.plan.elides,
        )

    def _seat(self, number: int) -> Seat:
        first = self.plane.coordinator
        told = first.ctx.settings
        checks = told.invariants_seconds if number == 0 else OTHERS_CHECK.total_seconds()
        settings = replace(told, name=f"{told.name}/{number}", invariants_seconds=checks)
        trouble = self.trouble_of(coordinator_name(number)) if self.plan.troubled else None
        return Seat(
            Seating(
                self.db,
                self.reach.server,
                self.clock,
                self.wakeups,
                settings,
                self._server_traffic(),
                trouble,
                self._stillness,
                self._duty_failed if self.plan.troubled else logged,
            )
        )

    def _surprised(self, where: str, error: Exception) -> None:
        what, _, _ = str(error).partition("\n")
        self.surprises.append(f"{where}: {type(error).__name__}: {what}")

    def _duty_failed(self, duty: str, item: str | None, error: Exception) -> None:
        """A race that was lost again and again is the next pass's to win."""
        if not is_lost_race(error):
            self._surprised(duty if item is None else f"{duty} of {item}", error)

    def _install(self) -> None:
        """The owners install the agent on their servers, whose workloads run."""
        now = self.clock.now()
        self._installed = {server.instance_id: server.name for server in self.servers}
        for server in self.servers:
            content = state_of(self.ec2, server.instance_id)
            if content is None:
                raise SpotGuardError(f"{server.name} has no state volume at {STATE_DEVICE}")
            self.registers[server.name].opened(server.instance_id, FIRST_EPOCH, now, content)
            self.boot(server.instance_id)
            enrolment = self.processes[server.instance_id].agent.desk.enrolment
            if enrolment is not None:  # its owner hands it over: without the tag nobody may ever end it
                self.ec2.controls.tag(server.instance_id, {ADOPTED_TAG: enrolment.agent_id})

    def _serves_since(self, instance_id: InstanceId) -> datetime | None:
        """What a load balancer's checks find."""
        found = (register.open_since(instance_id) for register in self.registers.values())
        return next((since for since in found if since is not None), None)

    def _server_traffic(self) -> SimulatedTraffic | None:
        return None if self.reach.server is None else self.ec2.traffic

    def _tenant(self) -> tuple[ClientId, str]:
        now = self.clock.now()
        return self.db.write(lambda tx: tenants.create_client(tx, now, "demo", executor=self.plan.executor))

    def _control_plane(self) -> ControlPlane:
        return compose(
            Settings(installation="demo", public_url=self.plan.public_url),
            self.db,
            self.clock,
            lambda _client: self.reach.server,
            self.wakeups,
            api=DEMO_API,
            traffics=lambda _client: self._server_traffic(),
            single_threaded=True,
        )
