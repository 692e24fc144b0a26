"""What people are told of an agent is true now: where it is, not where it was when the engine last decided."""

from decimal import Decimal

from spotguard.store import views_agents
from tests.cloud.scene import prices
from tests.coordinator.scene import A, B, C, Scene

CALM = prices((A, -60, "0.040000"), (B, -60, "0.039900"), (C, -60, "0.039800"))


def told(scene, agent):
    view = scene.db.read(lambda tx: views_agents.agent(tx, scene.now, scene.client_id, agent))
    return view.outlook.next_action, view.outlook.why


def test_after_a_move_the_former_decision_is_history():
    scene = Scene()
    agent = scene.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    scene.run(
        1800,
        until=lambda: scene.agent(agent).current_pool_id != A.id and scene.agent(agent).status != "switching",
    )
    scene.run(900)
    here = scene.agent(agent).current_pool_id
    action, why = told(scene, agent)
    assert action == f"stay in {here} (spot)"
    assert f"cheaper than {A.id}" not in why


def test_in_manual_mode_no_decision_of_the_engine_is_left_standing():
    scene = Scene(prices=CALM)
    agent = scene.protect(pool=A)
    scene.run(900)
    assert "would save" in told(scene, agent)[1]
    scene.config(agent, manual_replica_enabled=True)
    action, why = told(scene, agent)
    assert action.startswith("standby in") or "make a standby" in action
    assert "would save" not in why
    scene.run(3600, until=lambda: "hand over to the standby" in told(scene, agent)[0])
    assert told(scene, agent)[1].startswith("manual mode")


def test_new_settings_are_decided_under_anew():
    scene = Scene(prices=CALM)
    agent = scene.protect(pool=A)
    scene.run(900)
    scene.config(agent, config_version=scene.agent(agent).config_version + 1)
    assert "has not decided anew" in told(scene, agent)[1]
    scene.run(120)
    assert "would save" in told(scene, agent)[1]


def test_a_standby_that_waits_for_room_says_what_it_waits_for():
    scene = Scene()
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(400)
    scene.config(agent, manual_replica_enabled=True, max_hourly_usd=Decimal("0.05"))
    scene.run(300)
    action, why = told(scene, agent)
    assert action.startswith("standby in")
    assert why.startswith("it waits: this agent's spending would come to")
    assert "raise maxHourlyUsd" in why
    scene.config(agent, max_hourly_usd=None)
    scene.run(900, until=lambda: "hand over to the standby" in told(scene, agent)[0])
