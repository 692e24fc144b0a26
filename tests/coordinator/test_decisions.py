"""Voluntary moves: they happen, guard-rails stop them, autonomy limits them, and every one leaves its reasons."""

from datetime import timedelta
from decimal import Decimal

from spotguard.coordinator.decide import look
from spotguard.domain.agents import KillLevel
from spotguard.domain.pools import Pool
from spotguard.store import kill
from spotguard.store.tables import agent_events, decisions, epoch_grants, instances, pool_looks, switches
from tests.cloud.scene import prices
from tests.coordinator.scene import A, B, C, Scene

CALM = prices((A, -60, "0.040000"), (B, -60, "0.039900"), (C, -60, "0.039800"))
JUMP = prices((A, -60, "0.031000"), (A, 30, "0.088000"), (B, -60, "0.036000"), (C, -60, "0.037000"))
ALL_DEAR = prices(
    (A, -60, "0.031000"),
    (A, 130, "0.095000"),
    (B, -60, "0.0320000"),
    (B, 130, "0.094000"),
    (B, 400, "0.030000"),
    (C, -60, "0.0330000"),
    (C, 130, "0.093000"),
)


def test_a_cheaper_pool_is_moved_to_once_the_dwell_time_is_over():
    scene = Scene()
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(600)
    first = scene.row(decisions)
    assert first.verdict == "refused"
    assert "at least 2" in first.because
    scene.run(7200, until=lambda: scene.agent(agent).current_pool_id == C.id)
    move = scene.last_move(agent)
    assert (move.event_trigger, move.plan["aim"]) == ("auto_switch", "save")
    made = scene.rows(decisions, decisions.c.verdict == "move")
    assert [row.command_id for row in made] == [move.command_id]
    assert made[0].inputs["present_usd"] == "0.050000"
    assert {pool["id"] for pool in made[0].inputs["pools"]} == {A.id, B.id, C.id}
    expected = made[0].inputs["expected"]
    assert made[0].inputs["risk_model"] == "age-hazard-v1"
    assert (expected["pool"], expected["runner_up"]) == (C.id, B.id)
    assert expected["gain_usd"] > expected["runner_up_gain_usd"] > 0 > expected["leave_usd"]
    assert all(0 < float(pool["risk_6h"]) < 0.3 for pool in made[0].inputs["pools"])
    assert [(row.pool_id, row.up) for row in scene.rows(pool_looks)] == [(C.id, True)]
    assert scene.breaches() == []


def test_a_saving_below_the_minimum_is_not_worth_a_move():
    scene = Scene(prices=CALM)
    agent = scene.protect(pool=A)
    scene.run(3 * 3600)
    assert scene.rows(switches) == []
    stays = scene.rows(decisions)
    assert [row.verdict for row in stays] == ["stay"]
    assert "would save" in stays[0].because
    assert scene.agent(agent).current_pool_id == A.id


def test_a_pool_that_nears_on_demand_is_left():
    scene = Scene(prices=JUMP)
    agent = scene.protect(pool=A, min_pool_hours=0)
    scene.run(3600, until=lambda: scene.agent(agent).current_pool_id == B.id)
    assert scene.last_move(agent).plan["aim"] == "escape"


def test_with_every_pool_dear_it_goes_on_demand_and_comes_back():
    scene = Scene(prices=ALL_DEAR)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(3 * 3600, until=lambda: scene.agent(agent).current_mode == "ondemand")
    scene.run(6 * 3600, until=lambda: scene.agent(agent).current_mode == "spot")
    move = scene.last_move(agent)
    assert move.plan["aim"] == "recover"
    assert scene.agent(agent).current_pool_id == B.id


class Everybody:
    def __contains__(self, _instance_id):
        return True


def test_a_move_whose_new_instance_never_enrols_is_not_begun_again_and_again():
    """Each attempt is an instance that is paid for and serves nobody: it rests longer each time (invariant 11)."""
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0)
    scene.mute = Everybody()
    scene.run(8400)
    moves = scene.rows(switches)
    assert {(row.status, row.event_trigger) for row in moves} == {("unwound", "auto_switch")}
    assert len(moves) == 3, "after half an hour and after an hour"
    whys = [row.because for row in scene.rows(decisions, decisions.c.verdict == "refused")]
    assert any("came to nothing: the next is not begun before" in why for why in whys)
    assert scene.running() == {scene.serving(agent)}


def test_without_auto_terminate_nothing_is_saved_before_what_was_left_has_ended():
    """Each move leaves an instance that is billed until its user ends it."""
    scene = Scene(prices=prices((A, -60, "0.050"), (B, -60, "0.040"), (C, -60, "0.045"), (C, 30, "0.030")))
    agent = scene.protect(pool=A, min_pool_hours=0, auto_terminate_enabled=False)
    first = scene.serving(agent)
    scene.run(1200, until=lambda: scene.agent(agent).current_pool_id == B.id)
    scene.run(3000)
    assert scene.agent(agent).current_pool_id == B.id
    assert f"{first} of an earlier switch still runs" in scene.rows(decisions)[-1].because
    scene.ec2.terminate_instance(first)
    scene.run(1200, until=lambda: scene.agent(agent).current_pool_id == C.id)


def test_what_another_rail_refuses_is_said_anew():
    """The newest decision tells what stands in the way now, not what did hours ago."""
    scene = Scene()
    scene.protect(pool=A, min_pool_hours=Decimal("0.25"), max_switches_per_day=0)
    scene.run(1800)
    whys = [row.because for row in scene.rows(decisions)]
    assert ["at least 0.25 h" in why for why in whys] == [True, False]
    assert "0 voluntary switches" in whys[1]


def test_a_long_stay_on_demand_is_told_once_a_day():
    dear = prices((A, -60, "0.095"), (B, -60, "0.094"), (C, -60, "0.093"))
    scene = Scene(prices=dear)
    agent = scene.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    scene.run(1200, until=lambda: scene.agent(agent).current_mode == "ondemand")
    long_ago = epoch_grants.update().values(granted_at=scene.now - timedelta(hours=7))
    scene.db.write(lambda tx: tx.execute(long_ago.where(epoch_grants.c.status == "held")))
    scene.run(900)
    scene.coordinator = scene.new_coordinator()
    scene.run(600)
    (told,) = scene.rows(agent_events, agent_events.c.kind == "held_on_demand")
    assert "not back on spot" in told.message


def test_observe_records_and_does_nothing():
    scene = Scene()
    scene.protect(pool=A, min_pool_hours=0)
    agent = scene.protect("db", pool=B, min_pool_hours=0)
    scene.config(agent, autonomy="observe")
    scene.run(900)
    mine = scene.rows(decisions, decisions.c.agent_id == agent)
    assert [row.verdict for row in mine] == ["stay"]
    assert "autonomy is observe" in mine[0].because
    assert mine[0].target_pool_id == C.id
    assert scene.rows(switches, switches.c.agent_id == agent) == []


def test_recommend_and_approve_tell_a_person():
    scene = Scene()
    for autonomy, verdict in (("recommend", "recommend"), ("approve", "await_approval")):
        agent = scene.protect(autonomy, pool=A, min_pool_hours=0)
        scene.config(agent, autonomy=autonomy)
        scene.run(300)
        assert [r.verdict for r in scene.rows(decisions, decisions.c.agent_id == agent)] == [verdict]
    assert scene.rows(switches) == []


def test_the_kill_switch_stops_what_has_not_closed_its_gate():
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0)
    scene.run(120, until=lambda: bool(scene.rows(switches)))
    scene.db.write(
        lambda tx: kill.set_level(tx, scene.now, scene.client_id, "client", KillLevel.VOLUNTARY, "test")
    )
    scene.run(30)
    assert scene.last_move(agent).status == "unwound"
    scene.run(3600)
    assert len(scene.rows(switches)) == 1
    assert scene.is_open(agent)
    assert scene.running() == {scene.serving(agent)}


def test_a_move_of_the_engine_ends_with_automatic_mode():
    """Until it has closed the gate; whoever sets both off wants no voluntary switch (ruling S11)."""
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0)
    scene.run(120, until=lambda: bool(scene.rows(switches)))
    scene.config(agent, auto_switch_enabled=False)
    scene.run(30)
    assert scene.last_move(agent).status == "unwound"
    assert scene.is_open(agent)


def test_what_its_user_has_switched_off_since_the_look_is_not_begun():
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0, max_switches_per_day=0)
    scene.run(300)
    scene.config(agent, max_switches_per_day=3)
    decide = scene.coordinator.decide
    (found,) = scene.db.read(lambda tx: look(tx, scene.now, decide.judge))
    scene.config(agent, autonomy="observe", config_version=found.agent.config_version + 1)
    assert decide._decide(scene.now, found, {}) is False
    assert scene.rows(switches) == []


def test_manual_mode_is_not_decided_for():
    scene = Scene()
    scene.protect(pool=A, min_pool_hours=0, manual_replica_enabled=True)
    scene.run(1200)
    assert scene.rows(decisions) == []


def test_limits_survive_a_restart():
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0, max_switches_per_day=0)
    scene.coordinator = scene.new_coordinator()
    scene.run(300)
    assert "0 voluntary switches" in scene.row(decisions).because
    assert scene.rows(switches, switches.c.agent_id == agent) == []


def cannot_sync(scene):
    scene.db.write(lambda tx: tx.execute(instances.update().values(can_sync=False)))


def test_what_nothing_syncs_is_moved_within_its_zone_where_its_volume_goes_along():
    """The cheapest pool lies in another zone: only an image would carry the state there."""
    near = Pool("m5.xlarge", A.az)
    scene = Scene(prices=prices((A, -60, "0.050000"), (C, -60, "0.030000"), (near, -60, "0.040000")))
    agent = scene.protect(
        pool=A, min_pool_hours=0, allowed_instance_types=[A.instance_type, near.instance_type]
    )
    cannot_sync(scene)
    scene.run(1200, until=lambda: scene.agent(agent).current_pool_id == near.id)
    assert scene.last_move(agent).kind == "volume"
    assert [pool["id"] for pool in scene.rows(decisions)[-1].inputs["pools"] if pool["id"] == C.id] == []


def test_why_it_stays_where_its_volume_is_stands_in_the_decision():
    scene = Scene()
    scene.protect(pool=A, min_pool_hours=0)
    cannot_sync(scene)
    scene.run(1800)
    assert scene.rows(switches) == []
    last = scene.rows(decisions)[-1]
    assert last.verdict == "stay"
    assert last.because.endswith(f"nothing syncs its state, whose volume goes along within {A.az} only")
    assert last.inputs["syncs_state"] is False


def test_for_a_mere_saving_no_workload_is_stopped_for_an_image():
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0, state_gib=None)
    cannot_sync(scene)
    scene.run(1800)
    assert scene.rows(switches) == []
    last = scene.rows(decisions)[-1]
    assert (last.verdict, "would stop the workload for" in last.because) == ("refused", True)
    cannot_sync(scene)
    scene.switch(agent, C)
    assert scene.last_move(agent).kind == "image", "a person may order it"
