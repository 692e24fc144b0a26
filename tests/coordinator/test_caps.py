"""Spend caps bind what is wished for, whoever calls EC2, and never a rescue (invariant 12); who ended what is seen."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.domain.agents import Executor
from spotguard.domain.errors import Refused
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Step
from spotguard.planning.invariants import Facts, spend_caps_hold, the_old_survives_until_the_new_is_proven
from spotguard.ports.intentions import Intention, IntentionKind
from spotguard.store import intentions, invariant_facts, moves, prices
from spotguard.store.tables import commands, instances, replica_instances, switch_steps, switches
from spotguard.store.tables import intentions as intention_rows
from tests.coordinator.scene import A, B, C, Scene

USD = {A: Decimal("0.040"), B: Decimal("0.030"), C: Decimal("0.035")}


@pytest.fixture(params=list(Executor))
def scene(request):
    return Scene(executor=request.param)


def priced(scene, **config):
    """An agent whose present price is known."""
    agent = scene.protect(pool=A, auto_switch_enabled=False, **config)
    scene.run(400)
    return agent


@pytest.mark.parametrize(
    ("cap", "why"),
    [
        ({"max_hourly_usd": Decimal("0.05")}, "the client's spending would come to .* the cap is 0.05"),
        ({"max_instances": 1}, "the limit of 1 instances is reached"),
        ({"max_launches_per_hour": 0}, "0 launches within the last hour: the limit is 0"),
    ],
    ids=str,
)
def test_a_click_above_a_cap_is_refused_with_the_reason_and_leaves_nothing(scene, cap, why):
    agent = priced(scene)
    scene.limit(**cap)
    with pytest.raises(Refused, match=why):
        scene.switch(agent, B)
    assert scene.rows(switches) == scene.rows(intention_rows) == []
    assert scene.rows(commands, commands.c.command_type == "switch") == []


def test_machines_that_cost_the_same_are_each_counted(scene):
    scene.protect("database", pool=A, auto_switch_enabled=False)
    agent = priced(scene)
    scene.limit(max_hourly_usd=Decimal("0.10"))
    with pytest.raises(Refused, match=r"would come to 0\.11"):
        scene.switch(agent, B)


def test_a_click_above_the_agents_own_cap_is_refused(scene):
    agent = priced(scene, max_hourly_usd=Decimal("0.05"))
    with pytest.raises(Refused, match="this agent's spending"):
        scene.switch(agent, B)


def test_a_standby_that_waits_for_a_cap_is_launched_once_who_serves_has_a_signal(scene):
    agent = priced(scene)
    scene.limit(max_instances=1, max_launches_per_hour=0)
    scene.config(agent, manual_replica_enabled=True)
    scene.run(300)
    (waits,) = scene.live_replicas(agent)
    assert waits.instance_id is None
    scene.ec2.controls.signal_rebalance(scene.serving(agent))
    scene.run(400, until=lambda: [row.status for row in scene.live_replicas(agent)] == ["ready"])
    assert [row.id for row in scene.live_replicas(agent)] == [waits.id]
    assert scene.breaches() == []


def test_a_click_within_the_caps_goes_its_way(scene):
    agent = priced(scene, terminate_wait_seconds=0)
    scene.limit(max_instances=2, max_hourly_usd=Decimal("0.20"), max_launches_per_hour=1)
    opened = scene.switch(agent, B)
    scene.run(1200, until=lambda: scene.move(opened.switch_id).status == "completed")
    assert {row.status for row in scene.rows(intention_rows)} == {"done"}
    with pytest.raises(Refused, match="1 launches within the last hour"):
        scene.switch(agent, C)
    assert scene.breaches() == []


def test_the_order_to_an_agent_reserves_what_it_will_cost():
    """Invariant 12: in the transaction that writes it, for every agent of the client."""
    scene = Scene()
    first, second = priced(scene), scene.protect("db", pool=A, auto_switch_enabled=False)
    scene.run(400)
    scene.limit(max_instances=3)
    opened = scene.switch(first, B)
    with pytest.raises(Refused, match="limit of 3 instances"):
        scene.switch(second, B)
    scene.db.write(lambda tx: moves.unwind(tx, scene.now, opened.switch_id, "the story ends it"))
    assert [row.status for row in scene.rows(intention_rows)] == ["failed"]
    scene.switch(second, B)


def test_a_rescue_asks_no_cap(scene):
    agent = priced(scene)
    scene.limit(max_instances=0, max_hourly_usd=Decimal("0.01"), max_launches_per_hour=0)
    lost = scene.serving(agent)
    scene.ec2.controls.interrupt(lost)
    scene.run(900, until=lambda: scene.serving(agent) != lost and scene.is_open(agent))
    assert scene.breaches() == []


def test_a_standby_that_an_agent_would_launch_waits_for_room():
    scene = Scene(has_cloud=False)
    agent = scene.protect(pool=A)
    scene.db.write(
        lambda tx: prices.record_report(
            tx, scene.now, scene.client_id, scene.now, [(p.id, USD[p]) for p in USD]
        )
    )
    scene.limit(max_instances=1)
    scene.config(agent, manual_replica_enabled=True)
    scene.coordinator.run_pass()
    asked = commands.c.command_type == "launch_replica"
    assert scene.rows(commands, asked) == scene.rows(intention_rows) == []
    scene.limit(max_instances=2)
    scene.coordinator.run_pass()
    [reserved] = scene.rows(intention_rows)
    [order] = scene.rows(commands, asked)
    places = [place["pool_id"] for place in order.payload["launch"]["candidates"]]
    assert places == [B.id, C.id], "where a price is known"
    assert (reserved.status, reserved.voluntary, reserved.hourly_usd) == ("open", True, USD[C]), "the dearest"
    replica = scene.row(replica_instances)
    scene.config(agent, manual_replica_enabled=False)
    assert scene.row(replica_instances, replica_instances.c.id == replica.id).status == "terminated"
    assert [row.status for row in scene.rows(intention_rows)] == ["failed"]


def test_an_agent_is_not_sent_where_the_cap_has_no_room():
    scene = Scene(has_cloud=False)
    agent = scene.protect(pool=A)
    scene.db.write(
        lambda tx: prices.record_report(
            tx, scene.now, scene.client_id, scene.now, [(p.id, USD[p]) for p in USD]
        )
    )
    scene.db.write(lambda tx: tx.execute(sa.update(instances).values(spot_price=USD[A])))
    scene.limit(max_hourly_usd=USD[A] + USD[B])
    scene.config(agent, manual_replica_enabled=True)
    scene.coordinator.run_pass()
    [order] = scene.rows(commands, commands.c.command_type == "launch_replica")
    assert [place["pool_id"] for place in order.payload["launch"]["candidates"]] == [B.id]
    [reserved] = scene.rows(intention_rows)
    assert reserved.hourly_usd == USD[B]


# What the invariants see


def gathered(scene) -> Facts:
    return scene.db.read(lambda tx: invariant_facts.gather(tx, scene.now))


def let_in(scene, agent, name):
    """One more launch by somebody's wish, as the coordinator writes it down."""
    wisher = intentions.Wisher(scene.client_id, agent, None, None, voluntary=True)
    launch = Intention(
        ClientToken(name), IntentionKind.LAUNCH, name, "story", 1, scene.now, B, Mode.SPOT, USD[B]
    )
    scene.db.write(lambda tx: intentions.open_intention(tx, scene.now, wisher, launch))


@pytest.mark.parametrize(
    ("cap", "limit", "of_agent"),
    [
        ("maxHourlyUsd", {"max_hourly_usd": Decimal("0.08")}, False),
        ("maxHourlyUsd of the agent", {"max_hourly_usd": Decimal("0.08")}, True),
        ("maxInstances", {"max_instances": 2}, False),
        ("maxLaunchesPerHour", {"max_launches_per_hour": 1}, False),
    ],
)
def test_two_launches_that_were_let_in_side_by_side_break_the_cap(cap, limit, of_agent):
    """As two coordinators would without the client's row between them: each saw room for itself."""
    scene = Scene(executor=Executor.SERVER)
    agent = priced(scene)

    def set_limit(limits):
        scene.config(agent, **limits) if of_agent else scene.limit(**limits)

    set_limit(limit)
    let_in(scene, agent, "one")
    [fact] = gathered(scene).caps
    assert (fact.cap, fact.limit) == (cap, next(iter(limit.values())))
    assert fact.reached <= fact.limit
    with pytest.raises(Refused):
        let_in(scene, agent, "two")
    set_limit(dict.fromkeys(limit))
    let_in(scene, agent, "two")
    set_limit(dict.fromkeys(limit, 0))
    assert list(spend_caps_hold(gathered(scene))) == [], "a cap that was lowered later binds nothing back"
    first, second = (scene.row(intention_rows, intention_rows.c.token == name) for name in ("one", "two"))
    planted = sa.update(intention_rows).where(intention_rows.c.token == "two")
    request = {**second.request, "admitted": first.request["admitted"]}
    scene.db.write(lambda tx: tx.execute(planted.values(request=request)))
    assert len(list(spend_caps_hold(gathered(scene)))) == 1


def test_whose_hand_ended_the_old_instance_is_seen(scene):
    agent = priced(scene, terminate_wait_seconds=0)
    opened = scene.switch(agent, B)
    scene.run(1200, until=lambda: Step.OLD_ENDED in scene.steps(opened.switch_id))
    [fact] = gathered(scene).switches
    assert fact.old_ended_by_us
    assert list(the_old_survives_until_the_new_is_proven(gathered(scene))) == []
    unproven = sa.delete(switch_steps).where(switch_steps.c.step == Step.VERIFIED.value)
    scene.db.write(lambda tx: tx.execute(unproven))
    assert len(list(the_old_survives_until_the_new_is_proven(gathered(scene)))) == 1


def test_an_instance_that_aws_took_was_not_ended_by_us(scene):
    agent = priced(scene)
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(
        900,
        until=lambda: bool(scene.rows(switches)) and Step.OLD_ENDED in scene.steps(scene.last_move(agent).id),
    )
    assert [fact.old_ended_by_us for fact in gathered(scene).switches] == [False]


def test_a_move_above_a_cap_that_was_set_since_it_was_ordered_is_given_up_and_says_why():
    """What it had reserved came to nothing: its new instance ended before EC2 showed it."""
    scene = Scene(executor=Executor.SERVER)
    agent = priced(scene)
    old = scene.serving(agent)
    scene.ec2.controls.hide_new((60, 60))
    scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    scene.switch(agent, B)
    scene.run(60, until=lambda: len(scene.ec2.world.machines) == 2)
    (new,) = scene.ec2.world.machines.keys() - {old}
    scene.ec2.controls.fail_instance(new)
    scene.limit(max_hourly_usd=Decimal("0.05"))
    scene.run(600, until=lambda: scene.last_move(agent).status == "unwound")
    assert "the cap is 0.05" in scene.last_move(agent).ended_because
    scene.run(60)
    assert scene.serving(agent) == old
    assert scene.is_open(agent)
