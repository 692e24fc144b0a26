"""What the doctor reads of the fleet and of the database itself."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.planning.checkup.facts import Cluster, Standby
from spotguard.store import accounts, checkup, kill, leases
from spotguard.store import tables as t
from spotguard.store.database import Database
from tests.store import rows
from tests.store.rows import NOW, OLD, POOL_A, POOL_B
from tests.support.mariadb import GALERA, create_database, lonely_cluster, running_server, why_absent

SECOND = timedelta(seconds=1)


@pytest.fixture
def client_id(database):
    """A client with one agent that serves on OLD and was heard five seconds ago."""
    client_id = rows.with_agent(database)
    rows.pools(database)
    place = {"current_pool_id": POOL_A, "az": "ap-south-1a", "instance_type": "t3.medium"}
    heard = {"last_heartbeat_at": NOW - 5 * SECOND, "gate": "open", "agent_version": "0.1.0"}
    rows.add(database, t.instances, **rows.instance(client_id, agent_id="agent-1", **place, **heard))
    rows.add(database, t.epoch_grants, **rows.grant())
    return client_id


def fleet(database):
    return database.read(lambda tx: checkup.of_fleet(tx, NOW))


def test_an_agent_as_its_serving_instance_shows_it(database, client_id):
    (agent,) = fleet(database).agents
    assert (agent.client, agent.name, agent.silent_seconds) == ("Acme", "web-1", 5.0)
    assert (agent.version, agent.gate_open, agent.switching) == ("0.1.0", True, False)
    assert (agent.pool_id, agent.az, agent.standbys) == (POOL_A, "ap-south-1a", ())


def test_one_that_is_disabled_is_named_and_no_more(database, client_id):
    database.write(lambda tx: tx.execute(t.agents.update().values(enabled=False)))
    told = fleet(database)
    assert (told.agents, told.disabled) == ((), ("Acme/web-1",))


def test_whether_a_clone_of_it_would_have_anything_to_boot(database, client_id):
    assert not fleet(database).agents[0].has_image
    database.write(lambda tx: tx.execute(t.agents.update().values(ami_id="ami-1")))
    clone = {"agent_id": "agent-1", "ami_id": "ami-1", "id": rows.NEW, "intention_token": "of-a-launch"}
    rows.add(database, t.instances, **rows.instance(client_id, **clone))
    assert not fleet(database).agents[0].has_image
    database.write(lambda tx: tx.execute(t.instances.update().values(hears=True)))
    assert fleet(database).agents[0].has_image


def test_its_standbys_and_how_old_their_state_is(database, client_id):
    rows.add(
        database,
        t.replica_instances,
        **rows.replica(
            instance_id="i-0123456789abcdef1",
            pool_id=POOL_B,
            az="ap-south-1b",
            status="ready",
            synced_at=NOW - 9 * SECOND,
            is_active=True,
        ),
    )
    rows.add(
        database,
        t.replica_instances,
        **rows.replica(id="gone", replica_type="automatic-rebalance", status="terminated", is_active=False),
    )
    (agent,) = fleet(database).agents
    assert agent.standbys == (Standby("replica-1", "ready", POOL_B, "ap-south-1b", 9.0),)


@pytest.mark.parametrize(
    ("state", "ended_at", "has"), [("done", None, True), ("pending", None, False), ("done", NOW, False)]
)
def test_where_its_state_lies_and_whether_an_image_has_it(database, client_id, state, ended_at, has):
    database.write(lambda tx: tx.execute(t.instances.update().values(state_on_root=True)))
    (agent,) = fleet(database).agents
    assert (agent.state_on_root, agent.is_imaged) == (True, False)
    image = {"id": "ami-1", "kind": "image", "size_gib": 8, "state": state, "ended_at": ended_at}
    seen = {"created_at": NOW, "metered_from": NOW}
    rows.add(database, t.storage_resources, client_id=client_id, agent_id="agent-1", **image, **seen)
    (agent,) = fleet(database).agents
    assert agent.is_imaged is has


def test_agents_that_are_deleted_or_let_alone_are_not_looked_at(database):
    client_id = rows.client(database)
    rows.add(database, t.agents, **rows.agent(client_id, status="deleted"))
    rows.add(database, t.agents, **rows.agent(client_id, id="a2", logical_agent_id="w2", enabled=False))
    assert fleet(database).agents == ()


def test_one_that_nobody_serves_was_never_heard(database):
    rows.with_agent(database)
    (agent,) = fleet(database).agents
    assert (agent.silent_seconds, agent.gate_open, agent.version) == (None, None, None)


def test_coordinators_alive_and_gone(database):
    database.write(lambda tx: leases.hold(tx, NOW - timedelta(minutes=5), "host:0"))
    database.write(lambda tx: leases.hold(tx, NOW, "host:1"))
    seen = fleet(database)
    assert (seen.coordinators_alive, seen.coordinators_gone) == (("host:1",), ("host:0",))


def test_switches_that_stop_something(database, client_id):
    def turn(tx):
        kill.set_level(tx, NOW, kill.EVERYONE, kill.EVERYONE, KillLevel.NONE, "over")
        kill.set_level(tx, NOW, client_id, kill.CLIENT, KillLevel.VOLUNTARY, "audit")
        kill.set_level(tx, NOW, client_id, "agent-1", KillLevel.ALL, "fire")

    database.write(turn)
    told = {(one.whose, one.level) for one in fleet(database).switches}
    assert told == {(f"client {client_id}", KillLevel.VOLUNTARY), ("agent agent-1", KillLevel.ALL)}


def test_clients_whose_moves_the_server_makes_need_an_account(database, client_id):
    assert fleet(database).without_account == ()
    database.write(lambda tx: accounts.set_executor(tx, NOW, client_id, Executor.SERVER))
    assert fleet(database).without_account == ("Acme",)
    database.write(lambda tx: accounts.set_account(tx, NOW, client_id, "ap-south-1", None))
    assert fleet(database).without_account == ()
    (row,) = database.read(checkup.clients_of_accounts)
    assert (row.id, row.name, row.executor) == (client_id, "Acme", "server")


def test_what_an_account_is_asked_about(database, client_id):
    other = rows.client(database, "Other")
    read = database.read
    assert read(lambda tx: checkup.types_in_use(tx, client_id)) == ("t3.medium",)
    assert read(lambda tx: checkup.serving_instances(tx, client_id)) == (("agent-1", OLD),)
    assert read(lambda tx: checkup.types_in_use(tx, other)) == ()
    assert read(lambda tx: checkup.serving_instances(tx, other)) == ()


def test_the_database_about_itself(database):
    told = database.read(lambda tx: checkup.of_database(tx, datetime.now(UTC)))
    assert (told.schema_differences, told.miscounts, told.cluster) == ((), (), None)
    assert abs(told.ahead_seconds) < 5


def test_a_counter_that_lies_is_told(database):
    client_id = rows.client(database)
    rows.add(database, t.agents, **rows.agent(client_id, replica_count=2))
    told = database.read(lambda tx: checkup.of_database(tx, NOW))
    assert "counts 2 replicas" in told.miscounts[0]


@pytest.mark.skipif(not GALERA.exists(), reason="no Galera on this machine")
def test_a_cluster_says_whether_it_is_ready_and_how_many_it_has():
    if (reason := why_absent()) is not None:
        pytest.skip(reason)
    with running_server(*lonely_cluster()) as url:
        database = Database.open(create_database(url, "spotguard"))
        told = until(lambda: database.read(lambda tx: checkup.of_database(tx, datetime.now(UTC)).cluster))
        database.dispose()
    assert told == Cluster(ready=True, size=1)


def until(look):
    """A node is ready a moment after it answers."""
    for _ in range(100):
        if (found := look()) is not None and found.ready:
            return found
        threading.Event().wait(0.1)
    return look()
