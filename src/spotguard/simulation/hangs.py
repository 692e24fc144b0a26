"""A primary that hangs: its machine runs, EC2's checks fail, and neither its agent nor its line does anything.

Its user may have said after how long it is to be ended (`fenceAfterMinutes`): the only way in which who holds an epoch
is ended (ruling B4).
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from spotguard.domain.epochs import GrantStatus
from spotguard.domain.ids import InstanceId
from spotguard.simulation import crowd
from spotguard.simulation.fault_kinds import Scene, cut_off
from spotguard.simulation.world import World
from spotguard.store.tables import agents, epoch_grants

ASKED_FOR = 0.8  # share of those whose user wants it ended
MINUTES = (3, 10)
LONGER = (1, 4)  # times as long as other faults

_FENCED = sa.select(epoch_grants.c.instance_id, agents.c.fence_after_minutes).where(
    epoch_grants.c.status == GrantStatus.HELD.value,
    epoch_grants.c.agent_id == agents.c.id,
    agents.c.fence_after_minutes.is_not(None),
)


def hangs(scene: Scene) -> bool:
    target, world = scene.serving, scene.world
    if target is None:
        return False
    if scene.dice.random() < ASKED_FOR:
        crowd.configure(world, scene.fault.agent, {"fenceAfterMinutes": scene.dice.randint(*MINUTES)})
    seconds = scene.dice.choice(LONGER) * scene.fault.seconds
    world.trouble_of(target).frozen_until = world.clock.now() + timedelta(seconds=seconds)
    world.ec2.controls.impair(target)
    cut_off(scene, target, seconds, partial(is_well, world, target))
    return True


def is_well(world: World, instance_id: InstanceId) -> None:
    """EC2's checks pass again."""
    world.ec2.controls.impair(instance_id, on=False)


def may_be_ended(world: World) -> set[str]:
    """Holders whose checks have failed for as long as their users have said."""
    now, machines = world.clock.now(), world.ec2.world.machines
    return {
        row.instance_id
        for row in world.db.read(lambda tx: tx.execute(_FENCED).all())
        if (since := machines[InstanceId(row.instance_id)].impaired_since) is not None
        and now - since >= timedelta(minutes=row.fence_after_minutes)
    }
