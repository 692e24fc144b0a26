"""Kinds of faults of EC2: refusals, lost answers, things that show late, copies that fail, pools that run dry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from spotguard.domain.errors import CloudError, NeedsPerson
from spotguard.domain.pools import Pool
from spotguard.simulation.fault_kinds import Scene, for_a_while


def ec2_fails(make: Callable[[], CloudError], share: float, *, after_effect: bool, scene: Scene) -> bool:
    faults = scene.world.ec2.faults
    for action in _ACTIONS:
        faults.sometimes(action, share, make, after_effect=after_effect)
    for_a_while(scene, faults.clear)
    return True


_HIDDEN_SECONDS = (20, 300)
_LAUNCHES = ("run_instance", "create_fleet")
_ACTIONS = (
    *_LAUNCHES,
    "describe_instances",
    "describe_volumes",
    "describe_images",
    "describe_snapshots",
    "terminate_instance",
    "create_image",
    "create_snapshot",
    "create_volume",
    "attach_volume",
    "detach_volume",
    "delete_volume",
    "delete_snapshot",
    "deregister_image",
    "keep_volumes",
    "caller",
    "spot_price_history",
)


def launches_refused(code: str, make: Callable[[str], CloudError], scene: Scene) -> bool:
    faults = scene.world.ec2.faults
    for action in _LAUNCHES:
        faults.sometimes(action, 0.7, partial(make, code))
    for_a_while(scene, faults.clear)
    return True


def forbids(scene: Scene) -> bool:
    action = scene.dice.choice(_ACTIONS)
    faults = scene.world.ec2.faults
    faults.sometimes(action, 0.8, lambda: NeedsPerson("UnauthorizedOperation", "simulated"))
    for_a_while(scene, lambda: faults.sometimes(action, 0))
    return True


def hides(scene: Scene) -> bool:
    """Launches, volumes and copies show minutes later: EC2 advises to ask on for up to five (eventual consistency)."""
    hide = scene.world.ec2.controls.hide_new
    hide(_HIDDEN_SECONDS)
    for_a_while(scene, partial(hide, None))
    return True


def copy_fails(scene: Scene) -> bool:
    taken = scene.world.ec2.inventory()
    pending = [view.image_id for view in taken.images if view.state == "pending"]
    if not pending:
        return False
    scene.world.ec2.controls.fail_copy(pending[0])
    return True


def dry(scene: Scene) -> bool:
    return dry_pools(scene, [scene.dice.choice(scene.world.ec2.pools())])


def every_pool_dry(scene: Scene) -> bool:
    return dry_pools(scene, list(scene.world.ec2.pools()))


def dry_pools(scene: Scene, pools: list[Pool]) -> bool:
    until = scene.world.clock.now() + timedelta(seconds=scene.fault.seconds)
    for pool in pools:
        scene.world.ec2.controls.make_dry(pool, until)
    return True
