"""Where capacity is looked for when the first place refuses: who may go elsewhere, and what comes last."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import Throttled
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaType
from spotguard.store import quarantine
from spotguard.store.tables import agent_events, commands, decisions, pool_quarantines, switches
from tests.coordinator.scene import A, B, C, Scene
from tests.coordinator.test_decisions import ALL_DEAR


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def strike(scene, pool):
    scene.db.write(lambda tx: quarantine.strike(tx, scene.now, scene.client_id, pool, "story"))


@pytest.mark.parametrize("zone_has_spot", [True, False])
def test_a_zone_without_on_demand_capacity_is_left_alone_longer_each_time(zone_has_spot):
    """The engine's move there is unwound, and not proposed to it again and again (invariant 11)."""
    scene = Scene(executor=Executor.SERVER, prices=ALL_DEAR)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.ec2.controls.make_dry(A, mode=Mode.ONDEMAND)
    if not zone_has_spot:
        scene.ec2.controls.make_dry(A)
    scene.run(3 * 3600 + 120)
    moves = scene.rows(switches)
    assert {(row.status, row.new_mode) for row in moves} == {("unwound", "ondemand")}
    assert len(moves) in (2, 3), "after 15 and after 30 minutes"
    (struck,) = scene.rows(pool_quarantines)
    assert (struck.pool_id, struck.mode, struck.strikes) == (A.id, "ondemand", len(moves))
    whys = [row.because for row in scene.rows(decisions, decisions.c.verdict == "refused")]
    assert any("a launch on demand was refused here: it is left alone until" in why for why in whys)

    scene.ec2.controls.end_dryness(A)
    scene.run(3 * 3600, until=lambda: scene.agent(agent).current_mode == "ondemand")


def kinds(scene):
    return [event.kind for event in scene.rows(agent_events)]


def test_a_forced_switch_goes_to_the_pool_that_was_named_or_nowhere(scene):
    agent = scene.protect(pool=A)
    scene.run(60)
    old = scene.serving(agent)
    scene.ec2.controls.make_dry(B)
    opened = scene.switch(agent, B)
    scene.run(120, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert "InsufficientInstanceCapacity" in scene.move(opened.switch_id).ended_because
    assert scene.running() == {old}
    assert [row.pool_id for row in scene.rows(pool_quarantines)] == [B.id]


def test_a_rescue_goes_to_a_pool_in_quarantine_only_when_nothing_else_has_capacity(scene):
    agent = scene.protect(pool=A)
    scene.run(60)
    strike(scene, C)
    old = scene.serving(agent)
    for pool in (A, B, C):
        scene.ec2.controls.make_dry(pool, mode=Mode.ONDEMAND)
    scene.ec2.controls.make_dry(A)
    scene.ec2.controls.make_dry(B)
    scene.ec2.controls.interrupt(old)
    scene.run(900, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    assert scene.agent(agent).current_pool_id == C.id
    assert "last_resort" in kinds(scene)
    assert scene.breaches() == []


def test_while_anything_else_has_capacity_a_pool_in_quarantine_is_left_alone(scene):
    """On demand in another zone is dearer by far than C, and taken all the same."""
    agent = scene.protect(pool=A)
    scene.run(60)
    strike(scene, C)
    old = scene.serving(agent)
    for pool in (A, B):
        scene.ec2.controls.make_dry(pool)
    scene.ec2.controls.interrupt(old)
    scene.run(900, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    assert scene.agent(agent).current_mode == Mode.ONDEMAND
    assert "last_resort" not in kinds(scene)


@pytest.mark.parametrize(("kind", "at_once"), [("manual", False), ("termination", True)])
def test_an_agent_that_launches_is_given_the_same_ladder(kind, at_once):
    scene = Scene(executor=Executor.AGENT)
    manual = kind == "manual"
    agent = scene.protect(pool=A)
    scene.run(60)
    scene.has_cloud = False
    if manual:
        scene.config(agent, manual_replica_enabled=True)
    else:
        scene.ec2.controls.interrupt(scene.serving(agent))
    scene.run(20, until=lambda: orders(scene) != [])
    launch = orders(scene)[0].payload["launch"]
    (replica,) = scene.live_replicas(agent)
    assert replica.replica_type == (ReplicaType.MANUAL if manual else ReplicaType.TERMINATION)
    places = [(place["pool_id"], place["mode"]) for place in launch["candidates"]]
    assert places[0] == (launch["pool_id"], launch["mode"]) == (C.id, "spot")
    assert (B.id, "spot") in places
    assert (C.id, "ondemand") in places
    assert (A.id, "spot") not in places, "the pool that it is to stand in for"
    assert launch["at_once"] is at_once


def orders(scene):
    return scene.rows(commands, commands.c.command_type == CommandType.LAUNCH_REPLICA.value)


@pytest.mark.parametrize("executor", list(Executor))
def test_no_volume_of_what_may_serve_is_deleted_with_it(executor):
    """Its owner's instance, whose root would be; the standby; the successor. Asked again when EC2 was throttling."""
    scene = Scene(executor=executor)
    scene.ec2.faults.next("keep_volumes", Throttled("RequestLimitExceeded"))
    agent = scene.protect(pool=A, manual_replica_enabled=True, terminate_wait_seconds=0)
    scene.run(200)
    assert dying(scene) == set()
    opened = scene.switch(agent, B)
    scene.run(900, until=lambda: scene.move(opened.switch_id).status == "completed")
    assert dying(scene) == set()


def dying(scene):
    views = scene.ec2.describe_instances(scene.running())
    return {v.volume_id for view in views for v in view.volumes if v.delete_on_termination}
