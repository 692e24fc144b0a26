"""Tickets of which nobody has said what came of them: who may have served by one is not passed over."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.store import grants, move_grants, tickets
from spotguard.store.tables import agents, instances, replica_instances, switches
from tests.api.test_tickets import dies, granted, standby, word
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World

__all__ = ["standby"]


def holder(world: World, web: Machine) -> Any:
    return world.read(lambda tx: grants.holder(tx, web.agent_id))


def test_who_is_granted_the_epoch_before_its_first_report_has_come_is_a_standby_no_more(
    world: World, acme: Tenant, web: Machine
):
    """It would be its own standby once that comes, and be given a ticket to itself."""
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    acme.configure(web, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    new = world.register(
        acme, letter="b", token=world.enrolment(web, replica_id=replica["id"]), can_sync=True
    )
    assert world.rows(replica_instances)[0].status == "launching"

    now = world.clock.now()
    world.write(lambda tx: grants.release(tx, now, web.agent_id, 1, web.id, now))
    assert granted(world, web, new)
    passed = {"sync_status": "synced", "state_transfer_progress": 100, "sync_latency_ms": 500, "position": 7}
    assert new.post(f"replicas/{replica['id']}/sync-status", passed).body["status"] == "promoted"
    assert new.heartbeat().body["ticket"] is None
    assert world.rows(agents)[0].replica_count == len(
        [r for r in world.rows(replica_instances) if r.is_active]
    )


def test_a_standby_that_is_dead_may_have_used_it_before_and_its_holder_is_waited_for(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    """It lives and has let go, as one that was stopped after it had handed over, and started again."""
    slip = web.heartbeat().body["ticket"]
    now = world.clock.now()
    dies(world, standby)
    world.write(lambda tx: grants.release(tx, now, web.agent_id, 1, web.id, now))

    assert not granted(world, web, web)
    assert web.heartbeat(destroyed=None).body["destroy_ticket"] == slip["id"]
    assert not granted(world, web, web), "it has been asked this very moment"
    world.clock.pass_seconds(70)
    assert not granted(world, web, web), "nor was it heard since"
    web.heartbeat(destroyed=None)
    assert granted(world, web, web), "it has forgotten, and nobody else can say"


def test_what_was_asked_back_long_ago_tells_nothing_of_the_next_boot(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    """It has handed over unheard since, its standby is dead, and it was stopped and started: it can say so yet."""
    slip = web.heartbeat().body["ticket"]
    acme.configure(web, enabled=False)
    assert web.heartbeat(ticket=slip["id"]).body["destroy_ticket"] == slip["id"], "this answer is lost"
    acme.configure(web, enabled=True)
    world.clock.pass_seconds(600)
    dies(world, standby)
    said = word(world)
    web = world.register(acme, number=1, boot_id="boot-new", letter="a")
    handed = {"ticket_id": slip["id"], **said, "signature": None}
    web.heartbeat(handed_over=handed, released=1)
    assert holder(world, web).instance_id == standby.id


def test_a_move_does_not_go_on_past_a_holder_that_came_up_anew_while_its_ticket_was_out(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    """It may have taken its workload back before, unheard: whoever has its last pass lacks what came after that."""
    slip = web.heartbeat().body["ticket"]  # lost
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    path = f"/api/agents/{web.agent_id}/replicas/{replica['id']}/promote"
    assert world.link.call("POST", path, token=acme.token, body={}).status == 200
    (move,) = world.rows(switches)
    timing = {"gate_closed_at": world.ago(3), "delta_sent_at": world.ago(1)}
    web.post("switch-report", {"switch_id": move.id, "timing": timing})
    world.clock.pass_seconds(300)
    web = world.register(acme, number=1, boot_id="boot-new", letter="a")
    web.heartbeat(destroyed=[slip["id"]])
    world.write(lambda tx: move_grants.grant_if_due(tx, world.clock.now(), move.id))
    assert holder(world, web).instance_id == web.id


def test_one_that_was_passed_over_twice_is_kept_until_it_was_heard_after_the_second_time(
    world: World, web: Machine, standby: Machine
):
    """It was dead each time, and started again: what it said after the first time tells nothing of the second."""

    def passed_over(tx: sa.Connection) -> None:
        machine = tx.execute(sa.select(instances).where(instances.c.id == standby.id)).one()
        if tickets.out_of(tx, web.agent_id) is None:
            tickets.issue(tx, world.clock.now(), web.agent_id, grants.holder(tx, web.agent_id), machine)
        tickets.granted(tx, world.clock.now(), web.agent_id, 2, web.id)

    def kept() -> str | None:
        return world.read(lambda tx: tickets.why_kept(tx, standby.id))

    web.heartbeat()
    world.write(passed_over)
    world.clock.pass_seconds(70)
    standby.heartbeat()
    assert kept() is None
    world.write(passed_over)
    assert "has not been heard since" in (kept() or "")
    world.clock.pass_seconds(70)
    standby.heartbeat()
    assert kept() is None
