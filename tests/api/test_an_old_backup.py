"""The server was restored from a backup: its rows say epoch 1, and somebody serves with a newer one."""

import pytest

from spotguard.domain.agents import KillLevel
from spotguard.domain.epochs import Proof
from spotguard.domain.ids import AgentId, InstanceId
from spotguard.store import grants, kill
from spotguard.store.agents import HELD_BACK
from spotguard.store.tables import agent_events, epoch_grants, instances
from tests.api.test_tickets import signed
from tests.api.world import Machine, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def web(world: World) -> Machine:
    return world.register(world.tenant(), "web")


@pytest.fixture
def later(world: World, web: Machine) -> Machine:
    """It serves since epoch 3."""
    return world.register(web.tenant, "web", letter="b")


def grant_to(world: World, web: Machine, new: Machine) -> bool:
    """After the end of the one that held epoch 1."""
    agent_id = AgentId(web.agent_id)

    def work(tx):
        grants.release(tx, world.clock.now(), agent_id, 1, InstanceId(web.id), world.clock.now())
        return grants.grant(
            tx,
            world.clock.now(),
            agent_id=agent_id,
            seen_epoch=1,
            to_instance=InstanceId(new.id),
            proof=Proof.RELEASED,
            switch_id=None,
            because="it follows",
        )

    return world.write(work)


def claims(world: World) -> list[dict[str, object]]:
    return [row.detail for row in world.rows(agent_events, agent_events.c.kind == "newer_epoch_told")]


def test_nobody_is_granted_an_epoch_beside_one_that_holds_a_newer_one(
    world: World, web: Machine, later: Machine
):
    for _ in range(2):
        assert later.heartbeat(epoch=3, gate="open", workload_healthy=True).status == 200
    assert claims(world) == [{"instance_id": later.id, "epoch": 3}], "told once"
    assert not grant_to(world, web, world.register(web.tenant, "web", letter="c"))
    assert [row.epoch for row in world.rows(epoch_grants)] == [1]


def taken_back(world: World) -> list[dict[str, object]]:
    return [row.detail for row in world.rows(agent_events, agent_events.c.kind == "newer_epoch_taken_back")]


def test_who_says_its_old_epoch_again_holds_no_newer_one(world: World, web: Machine):
    """A garbage report with its credential: nobody goes back to an older epoch than it held."""
    web.heartbeat(epoch=2, gate="open")
    world.clock.pass_seconds(HELD_BACK.total_seconds())
    web.heartbeat(epoch=1, gate="open")
    assert taken_back(world) == [], "a heartbeat of before may have been held back on its way as long as that"
    world.clock.pass_seconds(1)
    for _ in range(2):
        web.heartbeat(epoch=1, gate="open")
    assert taken_back(world) == [{"instance_id": web.id, "epoch": 2}]
    assert grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_so_does_who_says_that_it_has_let_go_of_an_older_one(world: World, web: Machine):
    web.heartbeat(epoch=99, gate="open")
    world.clock.pass_seconds(HELD_BACK.total_seconds() + 1)
    web.heartbeat(epoch=None, released=1, gate="closed")
    assert taken_back(world) == [{"instance_id": web.id, "epoch": 99}]
    assert grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_who_lets_go_of_what_it_said_has_held_it_and_its_heir_may_serve(
    world: World, web: Machine, later: Machine
):
    later.heartbeat(epoch=3, gate="open")
    world.clock.pass_seconds(HELD_BACK.total_seconds() + 1)
    later.heartbeat(epoch=None, released=3, gate="closed")
    assert taken_back(world) == []
    assert not grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_what_it_says_in_another_boot_takes_nothing_back(world: World, web: Machine, later: Machine):
    """After a stop and a start it holds nothing, and tells what it has let go of before it held the newer one."""
    web.heartbeat(epoch=3, released=1, gate="open")
    world.clock.pass_seconds(HELD_BACK.total_seconds() + 1)
    again = world.register(web.tenant, "web", number=1, boot_id="boot-of-another-day")
    for _ in range(2):
        again.heartbeat(epoch=None, released=1, gate="closed")
    assert taken_back(world) == []
    assert not grant_to(world, web, later)


def test_a_smaller_lie_stands_when_the_greater_one_is_taken_back(world: World, web: Machine, later: Machine):
    later.heartbeat(epoch=99, gate="open")
    world.clock.pass_seconds(HELD_BACK.total_seconds() + 1)
    later.heartbeat(epoch=3, gate="open")
    assert taken_back(world) == [{"instance_id": later.id, "epoch": 99}]
    assert not grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_it_is_granted_as_ever_once_that_one_is_dead(world: World, web: Machine, later: Machine):
    later.heartbeat(epoch=3, gate="open")
    world.write(
        lambda tx: tx.execute(
            instances.update()
            .where(instances.c.id == later.id)
            .values(ec2_state="terminated", is_active=False)
        )
    )
    assert grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_a_clone_in_quarantine_holds_none_whatever_it_says(world: World, web: Machine):
    clone = world.register(web.tenant, "web", token=world.enrolment(web, drill_id="a-restore-drill"))
    clone.heartbeat(epoch=3, gate="open")
    assert grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_a_heartbeat_whose_ticket_nobody_knows_is_refused_and_heard(
    world: World, web: Machine, later: Machine
):
    slip = {
        "id": "of-a-later-day",
        "agent_id": web.agent_id,
        "epoch": 3,
        "from_instance": web.id,
        "to_instance": later.id,
        "to_boot": "boot",
    }
    assert later.heartbeat(epoch=3, gate="open", handed_over=signed(world, web, slip)).status == 409
    assert claims(world) == [{"instance_id": later.id, "epoch": 3}]
    assert not grant_to(world, web, world.register(web.tenant, "web", letter="c"))


def test_who_let_go_by_a_ticket_that_nobody_knows_makes_no_room_and_is_told_of(world: World, web: Machine):
    slip = {
        "id": "of-a-later-day",
        "agent_id": web.agent_id,
        "epoch": 2,
        "from_instance": web.id,
        "to_instance": "i-0a0a0a0a0a0a0a0a0",
        "to_boot": "boot",
    }
    for _ in range(2):
        assert web.heartbeat(epoch=None, released=1, handed_over=signed(world, web, slip)).status == 409
    (held,) = world.rows(epoch_grants)
    assert held.released_at is None, "its heir serves, and may not be heard"
    (told,) = world.rows(agent_events, agent_events.c.kind == "unknown_hand_over_told")
    assert told.message.startswith(f"{web.id} tells of a hand-over")


def test_an_epoch_that_these_rows_granted_is_no_claim(world: World, web: Machine):
    web.heartbeat(epoch=1, gate="open")
    assert claims(world) == []


def test_who_comes_up_with_another_boot_is_given_no_epoch_while_all_is_stopped(world: World, web: Machine):
    """It may be the old instance of a move that the copy does not know, and the new one is not heard."""
    now = world.clock.now()
    world.write(lambda tx: kill.set_level(tx, now, kill.EVERYONE, kill.EVERYONE, KillLevel.ALL, "restored"))
    again = world.register(web.tenant, "web", number=1, boot_id="boot-of-another-day")
    assert (again.reply["role"], again.reply["epoch"]) == ("passive", 1)
    (grant,) = world.rows(epoch_grants)
    assert grant.released_at is not None, "given back when people say so"
