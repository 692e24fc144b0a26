"""One agent process on a simulated machine: the shipped agent behind simulated ports, its duties in the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from spotguard.agent.agent import Agent
from spotguard.agent.desk import Ports
from spotguard.agent.enrolment import launch_note
from spotguard.agent.settings import AgentSettings
from spotguard.agent.signals import Signals
from spotguard.agent.sync import LOOK_SECONDS, REPORT_EVERY, Sync, status_of
from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.ids import InstanceId
from spotguard.domain.replicas import SyncStatus
from spotguard.host.traffic import InstanceTraffic
from spotguard.ports.clock import SteadyClock
from spotguard.ports.cloud import Cloud
from spotguard.ports.server import ServerLink
from spotguard.simulation.clock import VirtualClock
from spotguard.simulation.machine import (
    ROOT_DEVICE,
    Fabric,
    Files,
    SimulatedDisk,
    SimulatedGate,
    SimulatedSalvage,
    SimulatedSync,
    state_missing,
    state_seen,
    state_volumes_of,
)
from spotguard.simulation.records import Register
from spotguard.simulation.schedule import Schedule
from spotguard.simulation.trouble import (
    CLOUD_EFFECTS,
    GATE_EFFECTS,
    TRAFFIC_EFFECTS,
    Mortal,
    ProcessDied,
    Trouble,
    TroubledDisk,
    TroubledLink,
    troubled_clock,
)

RESTART_SECONDS = 5.0  # what a supervisor waits before it starts a process again
QUIET_POLL = timedelta(minutes=10)  # of metadata that cannot have changed
ELIDED_POLL_SECONDS = (
    86_400.0  # the long poll is answered by wake-ups, and by the heartbeat's count if one is lost
)


Raised = Callable[[str, Exception], None]


def _raise(_where: str, error: Exception) -> None:
    raise error


@dataclass(frozen=True)
class Rhythm:
    """Of a world's agents, within what production sets them to. Seconds."""

    price_look_seconds: float = 0.0
    sync_seconds: float = 10.0


@dataclass
class Surroundings:
    """What all processes of a world share. `trouble_of` None: nothing ever goes wrong with a process or its line.

    `elides`: standbys do not look at what cannot have changed.

    `raised` hears what a duty raises, which in production is logged, and the duty tried again (`agent.runner`).

    `enrolled`: who has ever heard the answer to a registration.
    """

    ec2: SimulatedEc2
    cloud: Cloud  # by which agents call `ec2`
    clock: VirtualClock
    schedule: Schedule
    link: ServerLink
    client_token: str
    rhythm: Rhythm = field(default_factory=Rhythm)
    elides: bool = False
    trouble_of: Callable[[InstanceId], Trouble] | None = None
    raised: Raised = _raise
    enrolled: set[InstanceId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.fabric = Fabric()
        self._deliveries = 0

    def deliver(self, seconds: float, action: Callable[[], None]) -> None:
        """A delayed request arrives."""
        self._deliveries += 1
        at = self.clock.now() + timedelta(seconds=seconds)
        self.schedule.plan(("delivery", self._deliveries), at, action)


class AgentProcess:
    """Starts with the machine and ends with it. Polls that could only repeat the last answer are left out."""

    def __init__(
        self, around: Surroundings, instance_id: InstanceId, register: Register, installed_as: str = ""
    ) -> None:
        """`installed_as`: the user installed the agent here under this name; a launched one finds its note."""
        self._around = around
        self.instance_id = instance_id
        self.register = register
        ec2 = around.ec2
        root = ec2.controls.content_at(instance_id, ROOT_DEVICE)
        if not isinstance(root, Files):
            raise TypeError(f"the root disk of {instance_id} holds no files")
        self.disk = SimulatedDisk(root)
        self._installed_as = installed_as
        self._trouble = around.trouble_of(instance_id) if around.trouble_of is not None else None
        self.agent = self._process()

    def _process(self) -> Agent:
        """A new process: what it knows is on its disk."""
        self._has_started = False
        around, ec2, trouble = self._around, self._around.ec2, self._trouble
        clock: SteadyClock = around.clock
        gate: Any = SimulatedGate(ec2, around.clock, self.register, self.instance_id)
        disk: Any = self.disk
        cloud: Any = around.cloud
        link: ServerLink = around.link
        traffic: Any = None if cloud is None else ec2.traffic
        if trouble is not None:
            clock, disk = troubled_clock(clock, trouble), TroubledDisk(disk, trouble)
            gate, cloud = Mortal(gate, trouble, GATE_EFFECTS), Mortal(cloud, trouble, CLOUD_EFFECTS)
            link = TroubledLink(link, trouble, around.deliver)
            traffic = traffic and Mortal(traffic, trouble, TRAFFIC_EFFECTS)
        self._clock = clock
        self._look_due: datetime | None = None
        ports = Ports(
            link=link,
            metadata=ec2.metadata(self.instance_id),
            gate=gate,
            sync=SimulatedSync(ec2, around.clock, self.register, around.fabric, self.instance_id),
            disk=disk,
            cloud=cloud,
            clock=clock,
            traffic=InstanceTraffic(None, traffic),
            salvage=SimulatedSalvage(ec2, self.register, around.clock, self.instance_id),
            state_volumes=lambda: state_volumes_of(ec2, self.instance_id),
            state_seen=lambda: state_seen(ec2, self.instance_id),
            state_missing=lambda: state_missing(ec2, self.instance_id),
        )
        settings = AgentSettings(
            logical_agent_id=self._installed_as,
            client_token=around.client_token if self._installed_as else None,
            command_wait_seconds=0,
            command_poll_seconds=ELIDED_POLL_SECONDS,
            price_look_seconds=around.rhythm.price_look_seconds,
            sync_seconds=around.rhythm.sync_seconds,
            has_probe=True,
        )
        return Agent(ports, settings)

    @property
    def has_enrolled(self) -> bool:
        """It has heard the answer to a registration, now or before its reboot."""
        return self.instance_id in self._around.enrolled

    def start(self) -> None:
        try:
            self.agent.start(self._clock.now())
        except ProcessDied:
            self.die()
            return
        except MetadataUnavailable:
            self._plan("start", self._soon(RESTART_SECONDS), self.start)
            return
        except OSError as error:  # a full disk: the process ends, and its supervisor starts another
            self._around.raised("start", error)
            self.die()
            return
        self._has_started = True
        self._answer_bells()

    def die(self) -> None:
        """The process is killed; the workload runs on, and a supervisor starts another process."""
        self.stop()
        self.agent = self._process()
        self._plan("start", self._soon(RESTART_SECONDS), self.start)

    def stop(self) -> None:
        for name in (*self.agent.duties, "start"):
            self._around.schedule.forget((self.instance_id, name))

    def resume(self) -> None:
        """The same process goes on: every wait of it is over by now, also of one that its supervisor was starting."""
        if not self._has_started:
            self._plan("start", self._around.clock.now(), self.start)
        for duty in self.agent.duties if self._has_started else ():
            self.wake(duty, self._around.clock.now())

    def wake(self, duty: str, at: datetime) -> None:
        """Run the duty then, unless it wants to run before."""
        self._plan(duty, at, lambda: self._run(duty))

    def signalled(self, at: datetime) -> None:
        """Its metadata have news, which it finds at its next poll: if it polls at all."""
        if self._around.schedule.is_planned((self.instance_id, "signals")):
            self.wake("signals", at)

    def _run(self, duty: str) -> None:
        frozen_until = self._trouble.frozen_until if self._trouble is not None else None
        if frozen_until is not None and frozen_until > self._around.clock.now():
            self.wake(duty, frozen_until)
            return
        began = self._clock.now()
        try:
            again = self.agent.duties[duty].run(began)
        except ProcessDied:
            self.die()
            return
        except Exception as error:  # noqa: BLE001 - as agent.runner: logged once, and the duty is tried again
            self._around.raised(duty, error)
            again = began + timedelta(seconds=RESTART_SECONDS)
        if again is not None:
            again = self._around.clock.now() + (again - began)  # its clock may be wrong, its waits are not
            if self._trouble is not None:
                again += timedelta(seconds=self._trouble.slow_seconds)
            self.wake(duty, self._next_turn(duty, began, again))
        if duty != "sync":
            self._look_after_all()
        self._answer_bells()

    def _look_after_all(self) -> None:
        """Whatever another duty did, the standby looks when it would have."""
        if self._look_due is not None:
            self.wake("sync", later_beat(self._look_due, self._around.clock.now()))
            self._look_due = None

    def _next_look(self, began: datetime, again: datetime) -> datetime:
        quiet_seconds = self._quiet_look_seconds(began) if self._around.elides else 0.0
        quiet_until = self._around.clock.now() + timedelta(seconds=quiet_seconds)
        self._look_due = again if quiet_until > again else None
        return later_beat(again, quiet_until)

    def _quiet_look_seconds(self, began: datetime) -> float:
        """How long a standby whose state is whole and told has nothing to tell, unless another duty runs before."""
        duty, desk, trouble = self.agent.duties["sync"], self.agent.desk, self._trouble
        if not isinstance(duty, Sync) or not desk.is_enrolled or desk.primacy.held is not None:
            return 0.0
        if duty.told is None or (trouble is not None and trouble.slow_seconds):
            return 0.0
        received = desk.ports.sync.received()
        highest = desk.settings.highest_lag_seconds
        if duty.told.status is not SyncStatus.SYNCED or status_of(received, highest) is not SyncStatus.SYNCED:
            return 0.0
        until_told_again = (duty.told.at + REPORT_EVERY - began).total_seconds()
        return min(until_told_again, highest - (received.lag_seconds or 0.0))

    def _answer_bells(self) -> None:
        if self.agent.desk.is_enrolled:
            self._around.enrolled.add(self.instance_id)
        for duty in sorted(self.agent.bells.take()):
            self.wake(duty, self._around.clock.now())

    def _soon(self, seconds: float) -> datetime:
        return self._around.clock.now() + timedelta(seconds=seconds)

    def _next_turn(self, duty: str, began: datetime, again: datetime) -> datetime:
        match duty:
            case "sync":
                return self._next_look(began, again)
            case "signals":
                return self._next_poll(again)
            case "tickets":  # it is woken by what arrives
                return again + QUIET_POLL
            case _:
                return again

    def _next_poll(self, again: datetime) -> datetime:
        """The poll that can bring something new: at the next beat after the metadata may have changed."""
        duty, change = self.agent.duties["signals"], self._around.ec2.next_metadata_change(self.instance_id)
        passed = duty.forgets_at if isinstance(duty, Signals) else None
        news = [max(again, at) for at in (change, passed) if at is not None]
        return min([again + QUIET_POLL, *news])

    def _plan(self, name: str, at: datetime, action: Callable[[], None]) -> None:
        self._around.schedule.plan((self.instance_id, name), max(at, self._around.clock.now()), action)


def later_beat(due: datetime, moment: datetime) -> datetime:
    """The first of a standby's looks from `due` on that is not before the moment."""
    missing = max(0.0, (moment - due).total_seconds())
    return due + timedelta(seconds=LOOK_SECONDS * ceil(missing / LOOK_SECONDS))


def name_in(user_data: str) -> str | None:
    """The logical agent that a launch's user data names."""
    note = launch_note(user_data)
    return note.logical_agent_id if note is not None else None
