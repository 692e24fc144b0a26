"""What an instance tells of another one's end, and of a move that is over: the holder is ended by nobody's word."""

import pytest

from spotguard.domain.commands import CommandType
from spotguard.store.tables import instances, switch_steps
from tests.api.world import Machine, World


@pytest.fixture
def passive(world: World, acme) -> Machine:
    return world.register(acme, "web", letter="b")


@pytest.fixture
def history(world: World, web: Machine, passive: Machine) -> str:
    """A move from the holder to the other one, told after the fact (flow 10): it moved no epoch."""
    told = {
        "command_id": world.command(web, CommandType.SWITCH),
        "old_instance": {"instance_id": web.id},
        "new_instance": {"instance_id": passive.id},
        "timing": {},
    }
    return web.post("switch-report", told).body["switch_id"]


def row_of(world: World, machine: Machine):
    return world.rows(instances, instances.c.id == machine.id)[0]


def test_the_holder_is_not_ended_by_the_word_of_one_that_serves_nothing(
    world: World, web: Machine, passive: Machine, history: str
):
    told = {"switch_id": history, "timing": {"old_terminated_at": world.ago(1)}}
    for _ in range(2):
        reply = passive.post("switch-report", told)
        assert reply.status == 409
    assert row_of(world, web).is_active
    assert row_of(world, web).terminated_at is None


def test_of_itself_the_holder_is_believed(world: World, web: Machine, history: str):
    web.post("switch-report", {"switch_id": history, "timing": {"old_terminated_at": world.ago(1)}})
    assert not row_of(world, web).is_active


def test_what_the_old_one_has_done_is_not_told_by_the_new_one_though_the_move_is_over(
    world: World, passive: Machine, history: str
):
    told = {"switch_id": history, "timing": {"gate_closed_at": world.ago(60)}}
    assert passive.post("switch-report", told).status == 409
    steps = {row.step for row in world.rows(switch_steps, switch_steps.c.switch_id == history)}
    assert "gate_closed" not in steps


@pytest.mark.parametrize(("wanted", "is_believed"), [("passive", True), ("holder", False)])
def test_that_a_standby_was_ended_is_not_believed_of_one_that_has_come_to_serve(
    world: World, web: Machine, passive: Machine, wanted: str, is_believed: bool
):
    old = {"passive": passive, "holder": web}[wanted]
    payload = {"instance_id": old.id}
    command_id = world.command(passive, CommandType.RETIRE_REPLICA, payload=payload)
    passive.next_command()
    assert passive.post(f"commands/{command_id}/result", {"status": "completed"}).status == 200
    assert row_of(world, old).is_active is not is_believed
