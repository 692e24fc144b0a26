"""An instance that was launched for a client is nobody else's, though it has not said a word yet."""

import pytest

from spotguard.domain.commands import CommandType
from spotguard.domain.ids import AgentId, ReplicaId
from spotguard.ports.intentions import Intention, IntentionKind, IntentionStatus, Outcome
from spotguard.store import intentions
from spotguard.store.intentions import Wisher
from tests.api.world import Machine, World, instance_id

LAUNCHED = 77
REPLICA = "replica-of-acme"


@pytest.fixture
def launched(world: World, acme, web: Machine) -> str:
    """EC2 has just named it to the server."""
    now, given = world.clock.now(), instance_id(LAUNCHED)
    wisher = Wisher(acme.id, AgentId(web.agent_id), None, ReplicaId(REPLICA), voluntary=False)
    attempt = Intention("token-1", IntentionKind.LAUNCH, REPLICA, "standby", 1, now)
    world.write(lambda tx: intentions.open_intention(tx, now, wisher, attempt))
    outcome = Outcome(IntentionStatus.DONE, given)
    world.write(lambda tx: intentions.close_intention(tx, now, "token-1", outcome))
    return given


@pytest.fixture
def stranger(world: World) -> Machine:
    return world.register(world.tenant("Another"), "mine")


def test_a_stranger_does_not_register_it_and_its_owner_does(
    world: World, web: Machine, launched: str, stranger: Machine
):
    said = world.describe("web", number=LAUNCHED)
    theirs = stranger.tenant.token
    reply = world.link.call("POST", "/api/agents/register", token=theirs, body=said)
    assert reply.status == 404
    assert stranger.tenant.get("/agents")["items"][0]["logicalAgentId"] == "mine"
    reply = world.link.call("POST", "/api/agents/register", token=world.enrolment(web), body=said)
    assert reply.status == 201


def test_nor_does_he_name_it_in_a_report(world: World, web: Machine, launched: str, stranger: Machine):
    told = {
        "command_id": world.command(stranger, CommandType.SWITCH),
        "old_instance": {"instance_id": stranger.id},
        "new_instance": {"instance_id": launched},
        "timing": {},
    }
    assert stranger.post("switch-report", told).status == 404
    said = world.describe("web", number=LAUNCHED)
    reply = world.link.call("POST", "/api/agents/register", token=world.enrolment(web), body=said)
    assert reply.status == 201


def test_what_an_agent_says_that_it_has_launched_keeps_nobody_else_from_registering(
    world: World, acme, web: Machine
):
    """An agent may name any instance: only what EC2 has told the server counts."""
    now, said = world.clock.now(), world.describe("mine", number=LAUNCHED)
    wisher = Wisher(acme.id, AgentId(web.agent_id), None, ReplicaId(REPLICA), voluntary=False)
    token = intentions.agents_token(REPLICA)
    attempt = Intention(token, IntentionKind.LAUNCH, REPLICA, "standby", 1, now)
    world.write(lambda tx: intentions.open_intention(tx, now, wisher, attempt))
    world.write(
        lambda tx: intentions.reserved_is(
            tx, now, said["instance_id"], switch_id=None, replica_id=ReplicaId(REPLICA)
        )
    )
    owner = world.tenant("Another")
    assert world.link.call("POST", "/api/agents/register", token=owner.token, body=said).status == 201
