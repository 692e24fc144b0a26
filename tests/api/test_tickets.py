"""Handover tickets as a holder and its standby speak of them with the server (ruling B4a)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.domain.clock import parse_time
from spotguard.domain.epochs import Proof
from spotguard.domain.ids import AgentId
from spotguard.domain.tickets import Ticket, Word, hash_token, seal_of, signature_of
from spotguard.planning.invariants import check
from spotguard.store import grants, invariant_facts, tickets
from spotguard.store.tables import (
    agent_events,
    agents,
    epoch_grants,
    handover_tickets,
    instances,
    replica_instances,
    switch_steps,
    switches,
)
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World


@pytest.fixture
def standby(world: World, acme: Tenant, web: Machine) -> Machine:
    """The manual replica of `web`, enrolled and in sync."""
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    acme.configure(web, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    found = world.register(
        acme, letter="b", token=world.enrolment(web, replica_id=replica["id"]), can_sync=True
    )
    in_sync(found, replica["id"])
    return found


def in_sync(standby: Machine, replica_id: str) -> None:
    passed = {"sync_status": "synced", "state_transfer_progress": 100, "sync_latency_ms": 500, "position": 7}
    assert standby.post(f"replicas/{replica_id}/sync-status", passed).body["status"] == "ready"


def issued(world: World) -> Any:
    return world.rows(handover_tickets)[-1]


def ticket_of(slip: dict[str, Any]) -> Ticket:
    return Ticket(**{name: value for name, value in slip.items() if name != "seal"})


def word(world: World) -> dict[str, Any]:
    """The holder's, of the last ten seconds."""
    return {
        "begun_at": world.ago(10),
        "gate_closed_at": world.ago(8),
        "delta_sent_at": world.ago(6),
        "released_at": world.ago(5),
        "position": 9,
    }


def signed(world: World, web: Machine, slip: dict[str, Any], **more: Any) -> dict[str, Any]:
    """As the standby presents it."""
    said = word(world)
    times = {name: parse_time(value) for name, value in said.items() if name != "position"}
    signature = signature_of(ticket_of(slip), Word(**times, position=9), hash_token(web.token))
    return {"ticket_id": slip["id"], **said, "signature": signature, **more}


def dies(world: World, machine: Machine) -> None:
    dead = {"ec2_state": "terminated", "is_active": False}
    mine = instances.c.id == machine.id
    world.write(lambda tx: tx.execute(instances.update().where(mine).values(**dead)))


def granted(world: World, web: Machine, to: Machine, proof: Proof = Proof.RELEASED) -> bool:
    """The epoch after the first one of `web`."""
    return world.write(
        lambda tx: grants.grant(
            tx,
            world.clock.now(),
            agent_id=web.agent_id,
            seen_epoch=1,
            to_instance=to.id,
            proof=proof,
            switch_id=None,
            because="a test",
        )
    )


def test_a_holder_whose_standby_is_ready_gets_one_ticket_and_gets_it_again(
    world: World, web: Machine, standby: Machine
):
    slip = web.heartbeat().body["ticket"]
    ticket = ticket_of(slip)
    assert (ticket.epoch, ticket.from_instance, ticket.to_instance) == (2, web.id, standby.id)
    assert slip["seal"] == seal_of(ticket, hash_token(standby.token)), "only the standby can check it"
    assert issued(world).acknowledged_at is None

    assert web.heartbeat().body["ticket"] == slip, "the first answer may have been lost"
    assert web.heartbeat(ticket=ticket.id).body["ticket"] == slip
    assert len(world.rows(handover_tickets)) == 1
    assert issued(world).acknowledged_at is not None
    assert standby.heartbeat().body["ticket"] is None, "it is the holder's alone"


def test_who_does_not_speak_of_tickets_is_given_none(world: World, web: Machine, standby: Machine):
    """It would neither use nor destroy it, and nobody else could be granted its epoch ever again."""
    assert web.heartbeat(destroyed=None).body["ticket"] is None
    assert world.rows(handover_tickets) == []
    slip = web.heartbeat().body["ticket"]
    assert web.heartbeat(destroyed=None).body["ticket"] == slip, "it is out: its holder may have it"


@pytest.mark.parametrize("can_sync", [None, False])
def test_none_names_a_standby_that_no_note_can_reach(
    world: World,
    web: Machine,
    standby: Machine,
    can_sync: bool | None,
):
    mine = instances.c.id == standby.id
    world.write(lambda tx: tx.execute(instances.update().where(mine).values(can_sync=can_sync)))
    assert web.heartbeat().body["ticket"] is None


def test_there_is_none_without_a_ready_standby_and_none_while_disabled(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    acme.configure(web, enabled=False)
    assert web.heartbeat().body["ticket"] is None
    acme.configure(web, enabled=True)
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    late = {"sync_status": "out-of-sync", "state_transfer_progress": 100, "sync_latency_ms": 90_000}
    standby.post(f"replicas/{replica['id']}/sync-status", late)
    assert web.heartbeat().body["ticket"] is None
    assert not world.rows(handover_tickets)


def test_while_it_is_out_nobody_else_is_granted_its_epoch(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    other = world.register(acme, letter="c")
    slip = web.heartbeat().body["ticket"]

    now = world.clock.now()
    world.write(lambda tx: grants.release(tx, now, web.agent_id, 1, web.id, now))
    assert not granted(world, web, other)
    assert not granted(world, web, web), "not even the holder itself"
    web.heartbeat(destroyed=[slip["id"]])
    assert issued(world).status == "destroyed"
    assert granted(world, web, other)


def test_a_standby_proven_dead_uses_no_ticket(world: World, acme: Tenant, web: Machine, standby: Machine):
    other = world.register(acme, letter="c")
    web.heartbeat()
    dies(world, standby)
    dies(world, web)
    assert granted(world, web, other, Proof.DEAD)
    assert issued(world).status == "over"


def test_whose_standby_is_retired_is_asked_back_and_a_new_one_names_the_next(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    first = web.heartbeat().body["ticket"]
    acme.configure(web, autoSwitchEnabled=True)  # the manual replica is retired
    asked = web.heartbeat(ticket=first["id"]).body
    assert (asked["ticket"], asked["destroy_ticket"]) == (None, first["id"])
    assert issued(world).status == "out", "asking proves nothing"
    assert standby.heartbeat().body["destroy_ticket"] == first["id"], "either end may end it"

    assert web.heartbeat(destroyed=[first["id"]]).body["destroy_ticket"] is None
    assert issued(world).status == "destroyed"


def test_nobody_else_destroys_it(world: World, acme: Tenant, web: Machine, standby: Machine):
    stranger = world.register(acme, letter="c")
    slip = web.heartbeat().body["ticket"]
    stranger.heartbeat(destroyed=[slip["id"]])
    assert issued(world).status == "out"


STANDBY_FIRST, HOLDER_FIRST = ("standby", "holder"), ("holder", "standby")


@pytest.mark.parametrize("order", [("standby",), ("holder",), STANDBY_FIRST, HOLDER_FIRST, STANDBY_FIRST * 2])
def test_what_happened_by_it_is_recorded_whoever_tells_it_first(
    world: World, acme: Tenant, web: Machine, standby: Machine, order: tuple[str, ...]
):
    slip = web.heartbeat().body["ticket"]
    world.clock.pass_seconds(60)
    by_holder = {"ticket_id": slip["id"], **word(world)}
    by_standby = signed(world, web, slip, opened_at=world.ago(4))
    for who in order:
        if who == "holder":
            reply = web.heartbeat(released=1, handed_over=by_holder)
            assert (reply.body["role"], reply.body["epoch"]) == ("passive", 2)
        else:
            reply = standby.heartbeat(epoch=2, gate="open", workload_healthy=True, handed_over=by_standby)
            assert (reply.body["role"], reply.body["epoch"]) == ("primary", 2)

    grant = world.rows(epoch_grants, epoch_grants.c.epoch == 2)[0]
    assert (grant.instance_id, grant.proof) == (standby.id, "released")
    former = world.rows(epoch_grants, epoch_grants.c.epoch == 1)[0]
    assert former.released_at == parse_time(by_holder["released_at"])
    (move,) = world.rows(switches)
    assert (move.event_trigger, move.kind, move.status) == ("emergency", "synced", "committed")
    assert (move.old_instance_id, move.new_instance_id) == (web.id, standby.id)
    told = {row.step: row.at for row in world.rows(switch_steps)}
    assert told["gate_closed"] == parse_time(by_holder["gate_closed_at"])
    assert told["delta_sent"] == parse_time(by_holder["delta_sent_at"])
    if "standby" in order:
        assert told["opened"] == parse_time(by_standby["opened_at"])
    assert world.rows(replica_instances)[0].status == "promoted"
    assert issued(world).status == "used"
    (agent,) = world.rows(agents)
    assert (agent.epoch, agent.instance_id, agent.replica_count) == (2, standby.id, 0)


def test_a_standby_cannot_say_it_in_the_holders_place(world: World, web: Machine, standby: Machine):
    slip = web.heartbeat().body["ticket"]
    for forged in (
        signed(world, standby, slip),  # under its own token
        signed(world, web, slip) | {"released_at": world.ago(1)},  # another word than was signed
        {"ticket_id": slip["id"], **word(world)},
        signed(world, web, slip | {"to_boot": "boot-of-a-clone"}),
        signed(world, web, slip) | {"signature": "é"},
    ):
        assert standby.heartbeat(handed_over=forged).status == 409
    assert world.rows(agents)[0].epoch == 1


def test_another_instance_presents_nothing(world: World, acme: Tenant, web: Machine, standby: Machine):
    clone = world.register(acme, letter="b")
    slip = web.heartbeat().body["ticket"]
    assert clone.heartbeat(handed_over=signed(world, web, slip)).status == 409
    assert standby.heartbeat(handed_over=signed(world, web, slip | {"id": "none"})).status == 409


def test_an_order_that_was_under_way_elsewhere_ends_when_the_ticket_was_used(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    slip = web.heartbeat().body["ticket"]
    target = {"target": "pool", "pool_id": POOL_C}
    assert acme.call("POST", f"/instances/{web.id}/force-switch", target).status == 202
    assert web.heartbeat(ticket=slip["id"]).body["destroy_ticket"] == slip["id"], "asked back first"

    reply = standby.heartbeat(epoch=2, gate="open", handed_over=signed(world, web, slip))
    assert reply.body["role"] == "primary"
    assert {row.status for row in world.rows(switches)} == {"unwound", "committed"}


def test_the_report_of_a_planned_move_destroys_the_ticket_with_the_release(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    slip = web.heartbeat().body["ticket"]
    target = {"target": "pool", "pool_id": POOL_C}
    move = acme.call("POST", f"/instances/{web.id}/force-switch", target).body["switchId"]
    told = {"switch_id": move, "timing": {"released_at": world.ago(0)}, "destroyed": [slip["id"]]}
    assert web.post("switch-report", told).status == 200
    assert issued(world).status == "destroyed"


def test_a_grant_to_another_while_it_is_out_is_found(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    """The check of invariant 1 over rows that some bug has made."""
    other = world.register(acme, letter="c")
    web.heartbeat()
    assert not broken(world)
    values = {"status": "ended", "released_at": world.clock.now()}
    world.write(lambda tx: tx.execute(epoch_grants.update().values(**values)))
    row = {
        "agent_id": web.agent_id,
        "epoch": 2,
        "instance_id": other.id,
        "status": "held",
        "proof": "released",
    }
    world.write(lambda tx: tx.execute(epoch_grants.insert().values(**row, granted_at=world.clock.now())))
    assert any(standby.id in what for what in broken(world))


def broken(world: World, invariant: str = "every_epoch_ends_by_a_proof") -> list[str]:
    now = world.clock.now()
    facts = world.read(lambda tx: invariant_facts.gather(tx, now, None))
    return [b.what for b in check(facts) if b.invariant == invariant]


def test_one_that_let_go_and_registers_again_has_not_said_that_its_gate_is_open(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    """It lost its token before it could say that it has closed: what it said before is not of now."""
    slip = web.heartbeat(gate="open").body["ticket"]
    standby.heartbeat(epoch=2, gate="open", handed_over=signed(world, web, slip))
    world.clock.time += timedelta(seconds=30)
    assert world.register(acme, number=int(web.id[-4:], 16), boot_id=boot_of(world, web)).id == web.id
    assert broken(world, "one_primary") == []


def test_an_open_gate_that_was_said_before_it_closed_is_not_of_now_however_late_it_arrives(
    world: World, acme: Tenant, web: Machine, standby: Machine
):
    """A line that holds requests back; who says so for longer than that serves indeed."""
    slip = web.heartbeat(gate="open").body["ticket"]
    standby.heartbeat(epoch=2, gate="open", handed_over=signed(world, web, slip))
    web.heartbeat(gate="closed", released=1)
    world.clock.time += timedelta(seconds=100)
    web.heartbeat(gate="open")
    assert broken(world, "one_primary") == []
    assert world.rows(agent_events, agent_events.c.kind == "gate_open_without_epoch") == []
    world.clock.time += timedelta(seconds=30)
    web.heartbeat(gate="open")
    assert broken(world, "one_primary") == [f"{web.id} serves agent {web.agent_id} without its epoch"]
    assert len(world.rows(agent_events, agent_events.c.kind == "gate_open_without_epoch")) == 1


def test_two_heartbeats_in_one_moment_are_given_one_ticket(world: World, web: Machine, standby: Machine):
    """As on a database whose transactions do not wait for one another: the second one reads that none is out."""

    def issue(tx: sa.Connection) -> bool:
        machine = tx.execute(sa.select(instances).where(instances.c.id == standby.id)).one()
        agent_id = AgentId(web.agent_id)
        return (
            tickets.issue(tx, world.clock.now(), agent_id, grants.holder(tx, agent_id), machine) is not None
        )

    assert [world.write(issue), world.write(issue)] == [True, False]
    assert len(world.rows(handover_tickets)) == 1


def boot_of(world: World, machine: Machine) -> str:
    return str(world.rows(instances, instances.c.id == machine.id)[0].boot_id)
