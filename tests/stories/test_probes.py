"""A tenant pays for looks: the whole of it, from the API to EC2's bill, and through three hours of trouble."""

from decimal import Decimal

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.simulation.audit import judge, orphans_of
from spotguard.store.tables import ledger_entries
from tests.stories.scene import Scene


def careful(scene, usd_per_day="2"):
    """On demand, with a minute so dear that a pool has to prove itself before it is taken, and a budget for looks."""
    scene.configure(minuteValueUsd="2")
    return scene.put("/api/client/probes", {"usdPerDay": usd_per_day})


def looks(scene):
    return scene.get("/api/client/probes?limit=500")["items"]


def charged(scene):
    wanted = ledger_entries.c.kind == "probe"
    return sum(
        (
            row.usd
            for row in scene.world.db.read(lambda tx: tx.execute(ledger_entries.select().where(wanted)))
        ),
        Decimal(0),
    )


def test_nothing_is_probed_before_somebody_pays_for_it(scene):
    scene.configure(minuteValueUsd="2")
    assert scene.get("/api/client/probes") == {
        "usdPerDay": "0.000000",
        "spentUsd": "0",
        "items": [],
        "nextCursor": None,
    }
    scene.wait(minutes=30)
    assert looks(scene) == []


def test_a_budget_buys_looks_that_are_told_and_leave_nothing(scene):
    assert careful(scene)["usdPerDay"] == "2.000000"
    serving = scene.agent().instance_id
    scene.until(lambda: len([one for one in looks(scene) if one["status"] == "over"]) >= 3, minutes=15)
    told = scene.get("/api/client/probes")
    assert Decimal(told["spentUsd"]) == sum(Decimal(one["usd"]) for one in told["items"]) > 0
    for one in told["items"]:
        assert one["up"] is True
        assert one["poolId"] in one["because"]
        assert scene.world.ec2.world.machines[InstanceId(one["instanceId"])].state is InstanceState.TERMINATED
    assert scene.agent().instance_id == serving
    assert scene.world.registers["web-1"].serving() == [serving]
    assert not orphans_of(scene.world)
    scene.world.settle()
    assert judge(scene.world).broken == []


@pytest.mark.long
@pytest.mark.parametrize("executor", list(Executor))
def test_three_hours_of_trouble_leave_nothing_and_the_ledger_is_ec2s_bill(executor):
    scene = Scene(agents=2, executor=executor, coordinators=2)
    careful(scene, usd_per_day="0.5")
    ec2 = scene.world.ec2
    for action in ("run_instance", "terminate_instance", "describe_instances"):
        ec2.faults.sometimes(action, 0.2, after_effect=action == "run_instance")
    ec2.controls.hide_new((0, 60))
    scene.wait(minutes=30)
    first = looks(scene)
    assert first
    ec2.controls.interrupt(InstanceId(scene.agent(min(scene.world.registers)).instance_id))
    scene.wait(hours=2, minutes=30)
    ec2.faults.clear()
    ec2.controls.hide_new(None)
    scene.put("/api/client/probes", {"usdPerDay": "0"})
    scene.wait(minutes=30)
    assert {one["status"] for one in looks(scene)} == {"over"}
    assert not orphans_of(scene.world)
    scene.world.settle()
    assert judge(scene.world).broken == []
    assert charged(scene) == Decimal(scene.get("/api/client/savings")["probeUsd"])
    bill = ec2.bill().by_resource
    machines = [m for m in ec2.world.machines.values() if "spotguard:probe" in m.tags]
    assert machines
    assert abs(charged(scene) - sum(bill[m.instance_id] for m in machines)) < Decimal("1e-8")
