"""Stands beside EC2 and sees what SpotGuard asks of it: nobody who serves, or who may be needed again, is ended."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.simulation.world import Reach, World
from spotguard.store.tables import epoch_grants, switch_steps, switches


class Witness:
    """Passes everything on, and remembers which instances were told to end since it was last asked."""

    def __init__(self) -> None:
        self._told_to_end: list[InstanceId] = []

    def reach(self, ec2: SimulatedEc2) -> Reach:
        """Server and agents call EC2 past this witness."""
        watched: Any = _Watched(ec2, self._told_to_end)
        return Reach(watched, watched)

    def complaints(self, world: World) -> list[str]:
        """What was ended since the last look, and should not have been. An ended guest runs on for a few seconds."""
        told = list(dict.fromkeys(self._told_to_end))
        self._told_to_end.clear()
        if not told:
            return []
        held, needed = _holders(world), _not_replaced_yet(world)
        serving = {instance for register in world.registers.values() for instance in register.serving()}
        return [
            *(f"{instance} was told to end while it served" for instance in told if instance in serving),
            *(f"{instance} was told to end and holds the epoch" for instance in told if instance in held),
            *(
                f"{instance} was told to end before its successor had proven itself"
                for instance in told
                if instance in needed
            ),
        ]


class _Watched:
    """A `Cloud` under the witness's eyes."""

    def __init__(self, inner: SimulatedEc2, told_to_end: list[InstanceId]) -> None:
        self._inner, self._told_to_end = inner, told_to_end

    def terminate_instance(self, instance_id: InstanceId) -> None:
        self._told_to_end.append(instance_id)
        self._inner.terminate_instance(instance_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _holders(world: World) -> set[str]:
    held = sa.select(epoch_grants.c.instance_id).where(epoch_grants.c.status == GrantStatus.HELD.value)
    return set(world.db.read(lambda tx: tx.scalars(held).all()))


def _not_replaced_yet(world: World) -> set[str]:
    """Old instances of moves that were granted, and whose new one has not been verified (invariant 3)."""
    verified = sa.exists().where(
        switch_steps.c.switch_id == switches.c.id, switch_steps.c.step == Step.VERIFIED.value
    )
    waiting = sa.select(switches.c.old_instance_id).where(
        switches.c.status == SwitchStatus.COMMITTED.value, sa.not_(verified)
    )
    return {instance for instance in world.db.read(lambda tx: tx.scalars(waiting).all()) if instance}
