"""A person's answer to a proposal, over HTTP; what an approval does then is the coordinator's stories'."""

from __future__ import annotations

from spotguard.store.tables import agents, decisions
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World


def propose(world: World, web: Machine, **change) -> str:
    row = {
        "id": f"decision-{len(world.rows(decisions))}",
        "client_id": web.tenant.id,
        "agent_id": web.agent_id,
        "decided_at": world.clock.now(),
        "policy": "rules-v1",
        "verdict": "await_approval",
        "aim": "save",
        "target_mode": "spot",
        "target_pool_id": POOL_B,
        "because": "cheaper",
        "inputs": {"epoch": 1, "config_version": world.rows(agents)[0].config_version},
        **change,
    }
    world.write(lambda tx: tx.execute(decisions.insert(), row))
    return row["id"]


def ready(world: World, acme: Tenant, web: Machine) -> None:
    acme.configure(web, autonomy="approve", minPoolHours=0)
    web.prices({POOL_A: 0.0312, POOL_B: 0.0208})


def test_an_approval_begins_the_move_and_wakes_who_carries_it_out(world: World, acme: Tenant, web: Machine):
    ready(world, acme, web)
    asked = propose(world, web)
    shown = acme.get(f"/decisions/{asked}")
    assert (shown["verdict"], shown["expiresAt"]) == ("await_approval", "2026-03-01T18:00:00.000000Z")
    approved = acme.call("POST", f"/decisions/{asked}/approve")
    assert approved.status == 202, approved
    assert world.bell.agents[-1] == web.id
    assert web.next_command()["id"] == approved.body["commandId"]
    shown = acme.get(f"/decisions/{asked}")
    assert (shown["verdict"], shown["commandId"]) == ("move", approved.body["commandId"])
    assert shown["expiresAt"] is None
    assert acme.call("POST", f"/decisions/{asked}/approve").status == 409


def test_what_waits_is_named_by_its_agent(world: World, acme: Tenant, web: Machine):
    ready(world, acme, web)
    asked = propose(world, web)
    agent = acme.agent(web)
    assert agent["awaitingDecisionId"] == asked
    assert agent["nextAction"] == f"stay in {POOL_A} (spot), move to {POOL_B} once a person approves"
    acme.configure(web, minSavingsPercent=50)
    agent = acme.agent(web)
    assert (agent["awaitingDecisionId"], agent["nextAction"]) == (None, f"stay in {POOL_A} (spot)")


def test_the_numbers_of_what_waits_can_be_asked_for_before_the_word_is_given(
    world: World, acme: Tenant, web: Machine
):
    ready(world, acme, web)
    propose(world, web)
    numbers = acme.call(
        "POST", f"/instances/{web.id}/force-switch/preview", {"target": "pool", "poolId": POOL_B}
    )
    assert (numbers.status, numbers.body["newUsdPerHour"]) == (200, "0.020800")
    assert acme.agent(web)["awaitingDecisionId"] is not None


def test_a_guard_rail_refuses_with_its_sentence(world: World, acme: Tenant, web: Machine):
    ready(world, acme, web)
    asked = propose(world, web)
    acme.configure(web, maxSwitchesPerDay=0)
    refused = acme.call("POST", f"/decisions/{asked}/approve")
    assert refused.status == 409
    assert "0 voluntary switches" in refused.body["detail"]


def test_an_expired_proposal_is_refused(world: World, acme: Tenant, web: Machine):
    ready(world, acme, web)
    asked = propose(world, web)
    world.clock.pass_seconds(6 * 3600)
    for answer, body in (("approve", None), ("reject", {})):
        refused = acme.call("POST", f"/decisions/{asked}/{answer}", body)
        assert (refused.status, "expired" in refused.body["detail"]) == (409, True)


def test_a_rejection_is_kept_with_its_reason(world: World, acme: Tenant, web: Machine):
    ready(world, acme, web)
    asked = propose(world, web)
    rejected = acme.call("POST", f"/decisions/{asked}/reject", {"reason": "the quarter ends"})
    assert rejected.status == 200, rejected
    assert (rejected.body["verdict"], rejected.body["because"]) == (
        "refused",
        "cheaper; rejected by its user: the quarter ends",
    )
    assert acme.call("POST", f"/decisions/{asked}/reject", {}).status == 409
    assert acme.call("POST", f"/decisions/{asked}/reject", {"why": "x"}).status == 422
