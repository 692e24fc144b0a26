"""Walks cells of the table: brings a small world to a state once, then strikes in a copy of it for each event.

A copy is a forked process: everything is in memory, the database too, so that a child has it all and spoils nothing.
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import Step
from spotguard.simulation import audit
from tests.primacy.table import Event, Place, Side
from tests.stories.scene import Scene

WEB = "web-1"
BETWEEN_STRIKES = 2.0  # seconds
FAULTS_LAST = timedelta(minutes=10)
AWAY = timedelta(minutes=20)
CONVERGES = timedelta(minutes=20)
MOST_LOST = 30  # records, one a second: the passes to a standby are ten seconds apart


@dataclass(frozen=True)
class Strike:
    """One thing that happens, to which end."""

    event: Event
    side: Side


@dataclass(frozen=True)
class Seen:
    """What came of it. `meanwhile`: who served when the faults ended and the server was still away; None: nobody."""

    meanwhile: str | None
    at_end: str | None
    lost: int
    wrong: tuple[str, ...]
    asked: bool = False  # a person was asked which of two that have ended served last


class Walk:
    """A world at a place. `ends`: the instances to strike."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.scene = scene = Scene(troubled=True)
        scene.force_to_spot()
        if place.step is None:
            scene.configure(manualReplicaEnabled=True, terminateWaitSeconds=0)
            scene.until(scene.ready_replica, minutes=20)
            scene.wait(minutes=2)  # the former move is over, the ticket is out
            other = scene.ready_replica().instance_id
        else:
            scene.configure(terminateWaitSeconds=900)
            scene.wait(minutes=3)
            other = self._move_up_to(place.step)
        self.ends = {Side.OLD: InstanceId(scene.agent(WEB).instance_id), Side.NEW: InstanceId(other)}
        if place.step is not None:
            self.ends[Side.OLD] = InstanceId(scene.switches()[-1].old_instance_id)

    def _move_up_to(self, step: Step) -> str:
        scene = self.scene
        row = scene.agent()
        pools = scene.get(f"/api/client/instances/{row.instance_id}/pricing")["pools"]
        target = next(p["id"] for p in pools if p["allowed"] and p["id"] != row.current_pool_id)
        wish = {"target": "pool", "pool_id": target, "kind": "synced"}
        scene.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)
        scene.until(lambda: scene.has_recorded(step), minutes=20)
        if step is Step.LAUNCHED:
            scene.wait(seconds=30)  # it runs, and its guest boots
        return str(scene.switches()[-1].new_instance_id)

    def strike(self, strikes: Iterable[Strike], *, server_up: bool) -> Seen:
        """In a copy of this world."""
        return _forked(lambda: self._struck(tuple(strikes), server_up=server_up))

    def close(self) -> None:
        self.scene.close()

    def _struck(self, strikes: tuple[Strike, ...], *, server_up: bool) -> Seen:
        world = self.scene.world
        world.ec2.advance()
        if not server_up:
            world.take_server_away()
        for one in strikes:
            end = self.ends[one.side]
            if world.ec2.world.machines[end].state is InstanceState.RUNNING:
                _STRIKES[one.event](self, end)
            world.run_for(seconds=BETWEEN_STRIKES if len(strikes) > 1 else 0)
        world.run_for(seconds=FAULTS_LAST.total_seconds())
        world.fabric.cut_off.clear()
        for trouble in world.troubles.values():
            trouble.clear()
        world.run_for(seconds=(AWAY - FAULTS_LAST).total_seconds())
        meanwhile = self._serving()
        world.bring_server_back()
        world.run_for(seconds=CONVERGES.total_seconds())
        register = world.registers[WEB]
        wrong = [*register.overlaps, *world.surprises, *audit.losses_are_told(world)]
        world.coordinator.check_invariants(world.clock.now())
        wrong += [f"{breach.invariant}: {breach.what}" for seat in world.seats for breach in seat.breaches]
        lost = sum(loss.count for loss in register.losses)
        asked = any("nobody knows" in row.message for row in self.scene.events("instance_ended"))
        return Seen(meanwhile, self._serving(), lost, tuple(wrong), asked)

    def _serving(self) -> str | None:
        """By the workload's own client: the old or the new end, or another instance."""
        serving = self.scene.world.registers[WEB].serving()
        if not serving:
            return None
        names = {instance_id: side.value for side, instance_id in self.ends.items()}
        return names.get(InstanceId(serving[0]), "other")


def _hang(walk: Walk, end: InstanceId) -> None:
    walk.scene.world.trouble_of(end).frozen_until = walk.scene.world.clock.now() + FAULTS_LAST


def _cut(walk: Walk, end: InstanceId) -> None:
    walk.scene.world.trouble_of(end).line.request_lost = 1.0
    walk.scene.world.fabric.cut_off.add(end)


_STRIKES: dict[Event, Callable[[Walk, InstanceId], None]] = {
    Event.NOTICE: lambda walk, end: walk.scene.world.ec2.controls.interrupt(end),
    Event.REBALANCE: lambda walk, end: walk.scene.world.ec2.controls.signal_rebalance(end),
    Event.DEATH: lambda walk, end: walk.scene.world.ec2.controls.fail_instance(end),
    Event.HANG: _hang,
    Event.LINK_LOSS: _cut,
    Event.REBOOT: lambda walk, end: walk.scene.world.ec2.controls.reboot(end),
}


def _forked(work: Callable[[], Seen]) -> Seen:
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child has one thread and ends by itself
        child = os.fork()
    if child == 0:
        try:
            seen = work()
        except BaseException:  # noqa: BLE001 - whatever it was, the parent tells it
            seen = Seen(None, None, 0, (traceback.format_exc(),))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.json.encode(seen))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return msgspec.json.decode(told, type=Seen)
