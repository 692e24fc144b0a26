"""Who stands beside EC2 and sees what SpotGuard asks of it: nobody who serves, or who holds the epoch, is ended."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.ids import InstanceId
from spotguard.simulation.world import Reach, World
from spotguard.store.tables import epoch_grants


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
        held = _holders(world)
        serving = {instance for register in world.registers.values() for instance in register.serving()}
        return [
            *(f"{instance} was told to end while it served" for instance in told if instance in serving),
            *(f"{instance} was told to end and holds the epoch" for instance in told if instance in held),
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
