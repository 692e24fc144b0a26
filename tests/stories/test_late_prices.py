"""EC2's price history is silent while a spot instance ends: what it tells later still counts (invariant 9)."""

from datetime import timedelta

from spotguard.domain.errors import Throttled
from spotguard.domain.ids import InstanceId
from spotguard.domain.pools import parse_pool_id
from spotguard.simulation import audit


def test_a_change_that_is_told_after_the_end_of_its_instance_is_billed(scene):
    world = scene.world
    scene.force_to_spot()
    scene.wait(minutes=45)
    agent = scene.agent()
    change = world.plan.market.history.next_change(parse_pool_id(agent.current_pool_id), world.clock.now())
    world.run_until(change.at - timedelta(minutes=10))

    world.ec2.faults.sometimes("spot_price_history", 1.0, lambda: Throttled("RequestLimitExceeded"))
    world.run_until(change.at + timedelta(minutes=25))
    assert scene.agent().instance_id == agent.instance_id
    world.ec2.controls.end_by_stranger(InstanceId(agent.instance_id))
    scene.wait(minutes=20)
    world.ec2.faults.clear()
    scene.wait(hours=2)

    world.run_until(world.clock.now().replace(microsecond=0) + timedelta(seconds=1))
    world.settle()
    assert audit.ledger_is_recomputable(world) == []
    assert audit.ledger_equals_meter(world) == []
