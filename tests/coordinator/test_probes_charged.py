"""What probes take of a budget, beside what EC2 bills: a price that rises, disks, an instance that EC2 does not end."""

from datetime import timedelta
from decimal import Decimal

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.cloud.simulated.physics import fixed
from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.store import ledger, probes, views_pools
from spotguard.store.tables import probes as probe_rows
from tests.cloud.scene import START, A, B, C, prices
from tests.coordinator.scene import Scene

RISING = prices((A, -60, "0.04"), (B, -60, "0.036"), (C, -60, "0.031"), (C, 1.3, "0.31"))


def careful(usd_per_day="1", **world):
    scene = Scene(executor=Executor.SERVER, **world)
    scene.protect(mode=Mode.ONDEMAND, minute_value_usd=Decimal(2))
    pays(scene, usd_per_day)
    return scene


def pays(scene, usd_per_day):
    scene.db.write(lambda tx: probes.set_budget(tx, scene.now, scene.client_id, Decimal(usd_per_day)))


def spent(scene):
    today = probes.today_of(scene.now)
    return scene.db.read(lambda tx: probes.spent(tx, scene.client_id, today))


def billed(scene):
    """By EC2 for what carries the purpose of a probe."""
    world, bill = scene.ec2.world, scene.ec2.bill().by_resource
    theirs = [*world.machines.items(), *world.volumes.items()]
    return sum(
        (bill[one] for one, thing in theirs if thing.tags.get("spotguard:purpose") == "probe"), Decimal(0)
    )


def test_the_budget_is_charged_disks_and_the_price_that_rose_under_a_look():
    scene = careful(prices=RISING)
    scene.ec2.controls.hide_new(fixed(25))
    scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)  # so that it has run for a while
    scene.run(900)
    pays(scene, "0")
    scene.run(300)
    scene.db.write(lambda tx: ledger.settle(tx, scene.now))
    assert len(scene.rows(probe_rows, probe_rows.c.up)) >= 2
    assert spent(scene) >= billed(scene).quantize(Decimal("1e-9")) > Decimal("0.003")


def test_what_ec2_does_not_end_for_hours_is_charged_to_each_day_on_which_it_runs():
    scene = careful("0.01")
    scene.ec2.faults.sometimes("terminate_instance", 1.0)
    scene.run(300, until=lambda: spent(scene) > 0)
    scene.mute.update(m.instance_id for m in scene.ec2.world.machines.values() if "spotguard:probe" in m.tags)
    scene.clock.time += timedelta(hours=23, minutes=50)
    scene.run(3600)
    assert scene.now - START > timedelta(days=1)
    assert spent(scene) > Decimal("0.01"), "nearly an hour at 0.031"
    scene.ec2.faults.clear()
    scene.run(1800)
    assert len(scene.rows(probe_rows)) == 1, "of today's budget nothing is left either"


def test_the_seconds_of_a_look_are_no_stay_in_the_pool():
    """What a tenant reads beside the interruptions that it met there."""
    scene = careful()
    scene.run(600)
    assert [row.pool_id for row in scene.rows(probe_rows, probe_rows.c.up)][:1] == [C.id]
    met = scene.db.read(lambda tx: views_pools.met(tx, scene.now, scene.client_id, [C.id]))
    assert met[C.id]["launched"] == 0
