"""The manual switching panel: what each pool costs, and whether SpotGuard would go there."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.tables import switches
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World


def offers_of(acme: Tenant, web: Machine) -> dict:
    return {offer["id"]: offer for offer in acme.get(f"/instances/{web.id}/pricing")["pools"]}


def test_the_manual_switching_panel(acme: Tenant, web: Machine):
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    panel = acme.get(f"/instances/{web.id}/pricing")
    assert (panel["currentMode"], panel["currentPool"], panel["onDemand"]) == ("spot", POOL_A, "0.041600")
    first = panel["pools"][0]
    assert (first["id"], first["az"], first["price"]) == (POOL_B, "ap-south-1b", "0.029800")
    assert (first["ageSeconds"], first["savingPercent"]) == (0, 28.37)
    assert 0 < first["risk"] < 100, "percent within six hours, by the age-hazard rule (docs/engine.md)"
    assert first["allowed"] is True
    assert first["because"]


def test_a_pool_without_a_recent_price_is_no_offer(world: World, acme: Tenant, web: Machine):
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    world.clock.pass_seconds(3601)
    web.heartbeat()
    web.prices({POOL_A: 0.0312})
    offers = offers_of(acme, web)
    assert offers[POOL_A]["price"] == "0.031200"
    unpriced = offers[POOL_B]
    assert (unpriced["allowed"], unpriced["because"]) == (False, "no recent price is known")
    assert (unpriced["price"], unpriced["ageSeconds"]) == (None, None)


def test_the_present_pool_is_no_target_and_its_quarantine_no_offer(world: World, acme: Tenant, web: Machine):
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    here = offers_of(acme, web)[POOL_A]
    assert (here["allowed"], here["because"]) == (False, "the workload runs here")
    web.post("interruption-signal", {"signal_type": "rebalance", "signal_time": world.ago(1)})
    here = offers_of(acme, web)[POOL_A]
    assert here["quarantinedUntil"]
    assert here["allowed"] is False
    assert here["because"].startswith("the workload runs here; in quarantine until")


def test_what_is_not_allowed_says_why_and_what_is_allowed_has_no_complaint(
    world: World, acme: Tenant, web: Machine
):
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    other = world.register(acme, "db", letter="b")
    other.post("interruption-signal", {"signal_type": "rebalance", "signal_time": world.ago(1)})
    offers = offers_of(acme, web)
    assert offers[POOL_B]["because"].startswith("in quarantine until")
    assert {pool: (one["allowed"], one["because"] == "allowed") for pool, one in offers.items()} == {
        POOL_A: (False, False),
        POOL_B: (False, False),
        POOL_C: (True, True),
    }
    assert offers[POOL_B]["risk"] > offers[POOL_C]["risk"], "it was signalled a second ago"


def test_a_pool_above_the_agents_risk_limit_is_no_offer_and_a_forced_move_says_so(acme: Tenant, web: Machine):
    """A person may go there all the same, with the figure and the limit in front of him."""
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    acme.call("POST", f"/agents/{web.agent_id}/config", {"riskThreshold": "0.001"})
    offer = offers_of(acme, web)[POOL_B]
    why = f"above this agent's risk limit: {offer['risk']:.1f} % within 6 h, at most 0.1 % are allowed"
    assert (offer["allowed"], offer["because"]) == (False, why)
    wish = {"target": "pool", "poolId": POOL_B}
    assert (
        f"its risk is {why}"
        in acme.call("POST", f"/instances/{web.id}/force-switch/preview", wish).body["warnings"]
    )
    forced = acme.call("POST", f"/instances/{web.id}/force-switch", wish)
    assert forced.status == 202


def test_a_return_from_a_forced_stay_is_offered_above_the_limit_as_the_engine_goes_there(
    world: World, acme: Tenant
):
    """The guard-rail binds no return (rulings, last paragraph); the panel judges by the same rule."""
    web = world.register(acme, "web", mode="ondemand")
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    acme.configure(web, riskThreshold="0.001")
    above = f"above this agent's risk limit: {offers_of(acme, web)[POOL_B]['risk']:.1f} % within 6 h"
    wished = offers_of(acme, web)[POOL_B]
    assert (wished["allowed"], wished["aboveRiskLimit"]) == (False, True), "nobody forced it there"
    moved(world, acme, web, trigger="manual")
    assert offers_of(acme, web)[POOL_B]["allowed"] is False, "a person put it there"
    moved(world, acme, web, trigger="emergency")
    back = offers_of(acme, web)[POOL_B]
    assert (back["allowed"], back["aboveRiskLimit"]) == (True, True)
    assert back["because"].startswith(above)
    assert back["because"].endswith("which binds no return to spot after a forced stay on demand")
    acme.configure(web, riskThreshold="1")
    calm = offers_of(acme, web)[POOL_B]
    assert (calm["allowed"], calm["aboveRiskLimit"], calm["because"]) == (True, False, "allowed")


def moved(world: World, acme: Tenant, web: Machine, trigger: str) -> None:
    """It came to where it is by a move of this trigger."""
    if not world.rows(switches):
        order = {"target": "pool", "poolId": POOL_B}
        assert acme.call("POST", f"/instances/{web.id}/force-switch", order).status == 202
    done = {"status": "completed", "event_trigger": trigger, "trigger_type": trigger}
    world.write(lambda tx: tx.execute(sa.update(switches).values(**done)))
