"""An instance's life: it starts, boots, reboots, stops, ends; disks go with it or stay."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from spotguard.cloud.simulated.physics import Span
from spotguard.cloud.simulated.state import HappeningKind, Machine, Run
from spotguard.cloud.simulated.volumes import Volumes
from spotguard.cloud.simulated.world import Action, World
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import EndReason, InstanceState, Mode


class Lifecycle:
    """Moves machines along `INSTANCE_LIFE`."""

    def __init__(self, world: World, volumes: Volumes) -> None:
        self._world = world
        self._volumes = volumes

    def start(self, machine: Machine) -> None:
        """From pending on, by itself: running, then booted."""
        machine.pending_at = machine.launched_at = self._world.now
        machine.ended_at = machine.end_reason = None
        self._after(machine, self._world.physics.pending_seconds, partial(self._run, machine))

    def _after(self, machine: Machine, duration: Span, action: Action) -> None:
        self._world.plan(machine, self._world.later(duration), action)

    def _run(self, machine: Machine) -> None:
        if machine.state is not InstanceState.PENDING:
            return
        machine.launched_at = self._world.now
        machine.runs.append(Run(self._world.now))
        machine.become(InstanceState.RUNNING)
        self._boot(machine, self._world.physics.boot_seconds)

    def _boot(self, machine: Machine, duration: Span) -> None:
        machine.guest_starts += 1
        self._after(machine, duration, partial(self._booted, machine, machine.guest_starts))

    def _booted(self, machine: Machine, start: int) -> None:
        if machine.state is InstanceState.RUNNING and machine.guest_starts == start:
            resumes, machine.memory_is_kept = machine.memory_is_kept, False
            self._world.happened(HappeningKind.RESUMED if resumes else HappeningKind.BOOTED, machine)

    def reboot(self, machine: Machine) -> None:
        """The guest goes down and comes up again; to EC2 it is the same boot, running all the time."""
        if machine.state is not InstanceState.RUNNING:
            raise NeedsPerson("IncorrectState", f"{machine.instance_id} is {machine.state}")
        self._world.happened(HappeningKind.REBOOTED, machine)
        self._boot(machine, self._world.physics.reboot_seconds)

    def terminate(self, instance_id: InstanceId) -> None:
        machine = self._world.machine(instance_id)
        self.end(machine, EndReason.REQUESTED)

    def end(self, machine: Machine, reason: EndReason | None) -> None:
        """Begin to end it; billing stops now. Again changes nothing, the reason included."""
        if not machine.is_live:
            return
        if machine.state is InstanceState.PENDING:
            machine.launched_at = self._world.now  # it did not run: zero seconds, nothing billed
        machine.end_reason = reason
        if machine.state is InstanceState.STOPPED:
            self._terminated(machine)
            return
        self._close_run(machine)
        machine.become(InstanceState.SHUTTING_DOWN)
        self._world.happened(HappeningKind.ENDING, machine)
        self._after(machine, self._world.physics.terminate_seconds, partial(self._terminated, machine))

    def _close_run(self, machine: Machine) -> None:
        if machine.runs and machine.runs[-1].ended is None:
            machine.runs[-1].ended = self._world.now
        machine.ended_at = machine.ended_at or self._world.now

    def _terminated(self, machine: Machine) -> None:
        machine.become(InstanceState.TERMINATED)
        self._volumes.release(machine)
        self._world.happened(HappeningKind.TERMINATED, machine)
        forgotten = self._world.now + timedelta(seconds=self._world.physics.vanish_after_seconds)
        self._world.at(forgotten, partial(self._world.forget, machine))

    def stop(self, machine: Machine, *, hibernate: bool = False) -> None:
        """On-demand only: a one-time spot instance cannot be stopped."""
        if hibernate and not machine.hibernates:
            raise NeedsPerson(
                "UnsupportedHibernationConfiguration",
                f"{machine.instance_id} was launched without hibernation",
            )
        if machine.mode is Mode.SPOT:
            raise NeedsPerson("UnsupportedOperation", "a one-time spot instance cannot be stopped")
        if machine.state is not InstanceState.RUNNING:
            raise NeedsPerson("IncorrectInstanceState", f"{machine.instance_id} is {machine.state}")
        self._close_run(machine)
        machine.end_reason, machine.memory_is_kept = EndReason.REQUESTED, hibernate
        machine.become(InstanceState.STOPPING)
        self._world.happened(HappeningKind.ENDING, machine)
        self._after(machine, self._world.physics.stop_seconds, partial(self._stopped, machine))

    def _stopped(self, machine: Machine) -> None:
        if machine.state is InstanceState.STOPPING:
            machine.become(InstanceState.STOPPED)
            kind = HappeningKind.HIBERNATED if machine.memory_is_kept else HappeningKind.STOPPED
            self._world.happened(kind, machine)

    def start_again(self, machine: Machine) -> None:
        if machine.state is not InstanceState.STOPPED:
            raise NeedsPerson("IncorrectInstanceState", f"{machine.instance_id} is {machine.state}")
        machine.become(InstanceState.PENDING)
        self.start(machine)
