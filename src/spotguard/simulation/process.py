"""One agent process on a simulated machine: the shipped agent behind simulated ports, its duties in the queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from spotguard.agent.agent import Agent
from spotguard.agent.enrolment import launch_note
from spotguard.agent.settings import AgentSettings
from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.ids import InstanceId
from spotguard.ports.server import ServerLink
from spotguard.simulation.clock import VirtualClock
from spotguard.simulation.machine import Fabric, Files, SimulatedDisk, SimulatedGate, SimulatedSync
from spotguard.simulation.records import Register
from spotguard.simulation.schedule import Schedule

ROOT_DEVICE = "/dev/xvda"
RESTART_SECONDS = 5.0  # what a supervisor waits before it starts a process again
QUIET_POLL = timedelta(minutes=10)  # of metadata that cannot have changed
ELIDED_POLL_SECONDS = (
    86_400.0  # the long poll is answered by wake-ups, and by the heartbeat's count if one is lost
)


class Surroundings:
    """What all processes of a world share."""

    def __init__(
        self, ec2: SimulatedEc2, clock: VirtualClock, schedule: Schedule, link: ServerLink, client_token: str
    ) -> None:
        self.ec2, self.clock, self.schedule = ec2, clock, schedule
        self.link, self.client_token = link, client_token
        self.fabric = Fabric()


class AgentProcess:
    """Starts with the machine and ends with it. Polls that could only repeat the last answer are left out."""

    def __init__(
        self, around: Surroundings, instance_id: InstanceId, register: Register, installed_as: str = ""
    ) -> None:
        """`installed_as`: the user installed the agent here under this name; a launched one finds its note."""
        self._around = around
        self.instance_id = instance_id
        self.register = register
        ec2, clock = around.ec2, around.clock
        root = ec2.controls.content_at(instance_id, ROOT_DEVICE)
        if not isinstance(root, Files):
            raise TypeError(f"the root disk of {instance_id} holds no files")
        self.agent = Agent(
            link=around.link,
            metadata=ec2.metadata(instance_id),
            gate=SimulatedGate(ec2, clock, register, instance_id),
            sync=SimulatedSync(ec2, clock, register, around.fabric, instance_id),
            disk=SimulatedDisk(root),
            cloud=ec2,
            clock=clock,
            settings=AgentSettings(
                logical_agent_id=installed_as,
                client_token=around.client_token if installed_as else None,
                command_wait_seconds=0,
                command_poll_seconds=ELIDED_POLL_SECONDS,
            ),
        )

    def start(self) -> None:
        now = self._around.clock.now()
        try:
            self.agent.start(now)
        except MetadataUnavailable:
            self._plan("start", now + timedelta(seconds=RESTART_SECONDS), self.start)
            return
        self._answer_bells()

    def stop(self) -> None:
        for name in (*self.agent.duties, "start"):
            self._around.schedule.forget((self.instance_id, name))

    def wake(self, duty: str, at: datetime) -> None:
        """Run the duty then, unless it wants to run before."""
        self._plan(duty, at, lambda: self._run(duty))

    def _run(self, duty: str) -> None:
        now = self._around.clock.now()
        again = self.agent.duties[duty].run(now)
        if again is not None:
            self.wake(duty, self._next_poll(again) if duty == "signals" else again)
        self._answer_bells()

    def _answer_bells(self) -> None:
        for duty in sorted(self.agent.bells.take()):
            self.wake(duty, self._around.clock.now())

    def _next_poll(self, again: datetime) -> datetime:
        """The poll that can bring something new: at the next beat after the metadata may have changed."""
        change = self._around.ec2.next_metadata_change(self.instance_id)
        quiet = again + QUIET_POLL
        return quiet if change is None else min(quiet, max(again, change))

    def _plan(self, name: str, at: datetime, action: Callable[[], None]) -> None:
        self._around.schedule.plan((self.instance_id, name), max(at, self._around.clock.now()), action)


def name_in(user_data: str) -> str | None:
    """The logical agent that a launch's user data names."""
    note = launch_note(user_data)
    return note.logical_agent_id if note is not None else None
