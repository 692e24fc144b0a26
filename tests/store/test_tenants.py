"""Tenants, their tokens, the kill switch and the event stream: each sees its own."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.store import events, kill, pools, tenants
from spotguard.store import tables as t
from spotguard.store.audit import counters_equal_rows
from spotguard.store.secrets import hash_token
from tests.store import rows
from tests.store.rows import NOW, POOL_A, POOL_B, add


def test_only_the_hash_of_a_token_is_kept(database):
    client_id, token = database.write(lambda tx: tenants.create_client(tx, NOW, "Acme", "ops@acme.example"))
    row = database.read(lambda tx: tenants.client_of_token(tx, hash_token(token)))
    assert (row.id, row.name, row.email, row.executor) == (client_id, "Acme", "ops@acme.example", "agent")
    assert re.fullmatch(r"[0-9a-f]{64}", row.api_token)
    assert token.startswith("sgc_")
    assert token not in str(tuple(row))
    assert database.read(lambda tx: tenants.client_of_token(tx, hash_token("x"))) is None


def test_a_rotated_token_shuts_the_former_out(database):
    client_id, old = database.write(
        lambda tx: tenants.create_client(tx, NOW, "Acme", executor=Executor.SERVER)
    )
    new = database.write(lambda tx: tenants.rotate_token(tx, NOW, client_id))
    assert database.read(lambda tx: tenants.client_of_token(tx, hash_token(old))) is None
    assert database.read(lambda tx: tenants.client_of_token(tx, hash_token(new))).executor == "server"
    with pytest.raises(NotFound):
        database.write(lambda tx: tenants.rotate_token(tx, NOW, "nobody"))


@pytest.mark.parametrize(
    ("name", "email"), [("", None), (" ", None), ("a\nb", None), ("x" * 256, None), ("a", "b")]
)
def test_a_name_that_people_cannot_read_is_refused(database, name, email):
    with pytest.raises(InvalidInput):
        database.write(lambda tx: tenants.create_client(tx, NOW, name, email))


def test_clients_are_found_by_id_and_by_unique_name(database):
    one, two = rows.client(database), rows.client(database, "Other")
    namesake = {"id": "namesake", "name": "Other", "executor": "agent", "created_at": NOW, "updated_at": NOW}
    add(database, t.clients, **namesake)  # of the time before names were unique
    assert database.read(lambda tx: tenants.client_named(tx, "Acme")) == one
    assert database.read(lambda tx: tenants.client_named(tx, two)) == two
    with pytest.raises(InvalidInput, match="give the id"):
        database.read(lambda tx: tenants.client_named(tx, "Other"))
    with pytest.raises(NotFound):
        database.read(lambda tx: tenants.client_named(tx, "Nobody"))
    listed = database.read(tenants.list_clients)
    assert {row.name for row in listed} == {"Acme", "Other"}
    assert "api_token" not in listed[0]._fields


def test_a_name_is_one_tenants(database):
    rows.client(database, "Acme")
    with pytest.raises(Refused, match="choose another name"):
        database.write(lambda tx: tenants.create_client(tx, NOW, " Acme "))
    assert len(database.read(tenants.list_clients)) == 1


def level(database, client_id, agent_id=None) -> KillLevel:
    return database.read(lambda tx: kill.level_for(tx, client_id, agent_id))


def turn(database, client_id, scope, wanted) -> None:
    database.write(lambda tx: kill.set_level(tx, NOW, client_id, scope, wanted, "because"))


def test_the_strongest_kill_switch_holds(database):
    client_id = rows.with_agent(database)
    assert level(database, client_id, "agent-1") is KillLevel.NONE
    turn(database, client_id, "agent-1", KillLevel.ALL)
    assert level(database, client_id, "agent-1") is KillLevel.ALL
    assert level(database, client_id) is KillLevel.NONE
    turn(database, client_id, "client", KillLevel.VOLUNTARY)
    assert level(database, client_id) is KillLevel.VOLUNTARY
    turn(database, client_id, "agent-1", KillLevel.NONE)
    assert level(database, client_id, "agent-1") is KillLevel.VOLUNTARY
    turn(database, "*", "*", KillLevel.ALL)
    assert level(database, client_id, "agent-1") is KillLevel.ALL
    assert len(database.read(lambda tx: kill.list_switches(tx, client_id))) == 3


def test_a_tenant_stops_only_its_own(database):
    client_id = rows.with_agent(database)
    other = rows.client(database, "Other")
    turn(database, other, "client", KillLevel.ALL)
    assert level(database, client_id, "agent-1") is KillLevel.NONE
    with pytest.raises(NotFound):
        turn(database, other, "agent-1", KillLevel.ALL)
    for who, scope in (("*", "client"), (other, "*")):
        with pytest.raises(InvalidInput):
            turn(database, who, scope, KillLevel.ALL)
    assert [row.client_id for row in database.read(lambda tx: kill.list_switches(tx, other))] == [other]


def test_a_kill_switch_says_why(database):
    with pytest.raises(InvalidInput, match="reason"):
        database.write(lambda tx: kill.set_level(tx, NOW, "*", "*", KillLevel.ALL, " "))


def test_the_stream_goes_on_after_the_last_event_and_shows_no_other_tenant_s(database):
    client_id = rows.with_agent(database)
    other = rows.client(database, "Other")

    def work(tx: sa.Connection) -> None:
        for number in range(5):
            events.append(
                tx, NOW + timedelta(seconds=number), client_id, "agent-1", "tick", str(number), {"n": number}
            )
            events.append(tx, NOW, other, None, "tick", "other")

    database.write(work)
    first = database.read(lambda tx: events.after(tx, client_id, 0, 3))
    rest = database.read(lambda tx: events.after(tx, client_id, first[-1].id, 100))
    assert [row.message for row in (*first, *rest)] == list("01234")
    assert first[1].detail == {"n": 1}
    newest = database.read(lambda tx: events.of_agent(tx, client_id, "agent-1", limit=2))
    assert [row.message for row in newest] == ["4", "3"]
    before = database.read(lambda tx: events.of_agent(tx, client_id, "agent-1", before_id=newest[-1].id))
    assert [row.message for row in before] == ["2", "1", "0"]
    assert database.read(lambda tx: events.of_agent(tx, other, "agent-1")) == []
    assert database.read(lambda tx: events.newest_id(tx, client_id)) == newest[0].id


def test_a_pool_is_made_once_and_its_az_id_is_never_changed(database):
    rows.pools(database, POOL_A)
    named = [pools.Pool("t3.medium", "ap-south-1a", az_id="aps1-az1"), pools.Pool("t3.medium", "ap-south-1b")]
    database.write(lambda tx: pools.ensure_pools(tx, NOW, named))
    lie = [pools.Pool("t3.medium", "ap-south-1a", az_id="aps1-az9")]
    database.write(lambda tx: pools.ensure_pools(tx, NOW, lie))
    listed = database.read(lambda tx: pools.list_pools(tx, region="ap-south-1", instance_types=["t3.medium"]))
    assert [(row.id, row.az_id) for row in listed] == [(POOL_A, "aps1-az1"), (POOL_B, None)]
    assert pools.pool_of(listed[0]).id == POOL_A
    assert [row.id for row in database.read(lambda tx: pools.list_pools(tx, after=POOL_A, limit=5))] == [
        POOL_B
    ]


def test_the_auditor_finds_each_counter_that_lies(database):
    client_id = rows.with_agent(database)
    assert database.read(counters_equal_rows) == []
    add(database, t.instances, **rows.instance(client_id, agent_id="agent-1", terminated_at=NOW))
    add(database, t.replica_instances, **rows.replica())
    found = " ".join(database.read(counters_equal_rows))
    assert "counts 0 replicas, there are 1" in found
    assert "names None as its replica, 1 are alive" in found
    assert "counts 0 instances, there are 1" in found
    assert "is terminated and is_active" in found
    right = {"replica_count": 1, "instance_count": 1, "current_replica_id": "replica-1"}
    database.write(lambda tx: tx.execute(sa.update(t.agents).values(right)))
    database.write(lambda tx: tx.execute(sa.update(t.instances).values(terminated_at=None)))
    assert database.read(counters_equal_rows) == []
