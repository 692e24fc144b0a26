"""The schema keeps the promises: whatever the code does, the database refuses to break them."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.store import tables as t
from tests.store import rows
from tests.store.rows import NEW, NOW, OLD, POOL_A, add, refused


def test_the_two_modes_exclude_each_other(database):
    client_id = rows.client(database)
    both = {"auto_switch_enabled": True, "manual_replica_enabled": True, "replica_enabled": True}
    with refused("ck_exclusive_modes"):
        add(database, t.agents, **rows.agent(client_id, **both))


@pytest.mark.parametrize(("auto", "manual"), [(True, False), (False, True), (False, False)])
def test_one_mode_or_none_is_legal(database, auto, manual):
    modes = {"auto_switch_enabled": auto, "manual_replica_enabled": manual, "replica_enabled": manual}
    add(database, t.agents, **rows.agent(rows.client(database), **modes))


def test_the_deprecated_flag_mirrors_the_mode(database):
    with refused("ck_replica_enabled_mirrors"):
        add(database, t.agents, **rows.agent(rows.client(database), replica_enabled=True))


@pytest.mark.parametrize("seconds", [-1, 86_401])
def test_the_wait_before_terminating_is_at_most_a_day(database, seconds):
    with refused("ck_terminate_wait"):
        add(database, t.agents, **rows.agent(rows.client(database), terminate_wait_seconds=seconds))


def test_a_logical_id_is_unique_within_a_client_and_free_for_another(database):
    rows.with_agent(database)
    other = rows.client(database, "Other")
    add(database, t.agents, **rows.agent(other, id="agent-2"))
    with refused("uq_agents_client_id_logical_agent_id|agents.client_id, agents.logical_agent_id"):
        add(database, t.agents, **rows.agent(other, id="agent-3"))


def test_logical_ids_compare_by_their_letters(database):
    client_id = rows.with_agent(database)
    add(database, t.agents, **rows.agent(client_id, id="agent-2", logical_agent_id="WEB-1"))


def test_one_manual_replica_lives_at_a_time(database):
    rows.with_agent(database)
    add(database, t.replica_instances, **rows.replica())
    with refused("live_manual_agent_id"):
        add(database, t.replica_instances, **rows.replica(id="replica-2"))


def test_ended_and_automatic_replicas_do_not_compete(database):
    rows.with_agent(database)
    ended = {"status": "terminated", "is_active": False}
    for number in range(2):
        add(database, t.replica_instances, **rows.replica(id=f"ended-{number}", **ended))
        add(
            database,
            t.replica_instances,
            **rows.replica(id=f"auto-{number}", replica_type="automatic-rebalance"),
        )
    add(database, t.replica_instances, **rows.replica())


@pytest.mark.parametrize(
    ("status", "is_active"), [("launching", False), ("terminated", True), ("promoted", True)]
)
def test_a_replica_is_active_while_its_status_is_alive(database, status, is_active):
    rows.with_agent(database)
    with refused("ck_active_is_live"):
        add(database, t.replica_instances, **rows.replica(status=status, is_active=is_active))


def test_one_command_that_moves_the_workload_is_open_at_a_time(database):
    client_id = rows.with_agent(database)
    add(database, t.commands, **rows.command(client_id))
    with refused("open_switch_agent_id"):
        add(database, t.commands, **rows.command(client_id, id="command-2"))
    for number, other in enumerate(("terminate_instance", "drill"), start=3):
        add(database, t.commands, **rows.command(client_id, id=f"command-{number}", command_type=other))
    database.write(lambda tx: tx.execute(sa.update(t.commands).values(status="completed")))
    add(database, t.commands, **rows.command(client_id, id="command-5"))


def test_one_switch_prepares_at_a_time(database):
    client_id = rows.with_agent(database)
    add(database, t.switches, **rows.switch(client_id))
    with refused("open_agent_id"):
        add(database, t.switches, **rows.switch(client_id, id="switch-2"))
    database.write(lambda tx: tx.execute(sa.update(t.switches).values(status="unwound")))
    add(database, t.switches, **rows.switch(client_id, id="switch-3"))


def test_an_epoch_is_granted_once(database):
    rows.with_agent(database)
    add(database, t.epoch_grants, **rows.grant(status="ended"))
    with refused("pk_epoch_grants|PRIMARY|epoch_grants.agent_id, epoch_grants.epoch"):
        add(database, t.epoch_grants, **rows.grant(instance_id=NEW))


def test_one_holder_at_a_time(database):
    rows.with_agent(database)
    add(database, t.epoch_grants, **rows.grant())
    with refused("held_agent_id"):
        add(database, t.epoch_grants, **rows.grant(epoch=2, instance_id=NEW))
    database.write(lambda tx: tx.execute(sa.update(t.epoch_grants).values(status="ended")))
    add(database, t.epoch_grants, **rows.grant(epoch=2, instance_id=NEW))


LEGAL = [
    (t.agents, lambda client_id: rows.agent(client_id, id="agent-2", logical_agent_id="x", status="asleep")),
    (t.agents, lambda client_id: rows.agent(client_id, id="agent-2", logical_agent_id="x", autonomy="wild")),
    (
        t.agents,
        lambda client_id: rows.agent(client_id, id="agent-2", logical_agent_id="x", current_mode="on-demand"),
    ),
    (t.replica_instances, lambda _: rows.replica(status="asleep", is_active=False)),
    (t.replica_instances, lambda _: rows.replica(replica_type="spare")),
    (t.replica_instances, lambda _: rows.replica(sync_status="maybe")),
    (t.commands, lambda client_id: rows.command(client_id, status="done")),
    (t.commands, lambda client_id: rows.command(client_id, command_type="reboot")),
    (t.switches, lambda client_id: rows.switch(client_id, status="done")),
    (t.switches, lambda client_id: rows.switch(client_id, event_trigger="whim")),
    (t.commands, lambda client_id: rows.command(client_id, target_mode="weird")),
    (t.switches, lambda client_id: rows.switch(client_id, old_mode="on-demand")),
    (t.switches, lambda client_id: rows.switch(client_id, new_mode="on-demand")),
    (t.epoch_grants, lambda _: rows.grant(status="lent")),
    (t.epoch_grants, lambda _: rows.grant(proof="silence")),
    (t.instances, lambda client_id: rows.instance(client_id, gate="ajar")),
    (t.spot_interruption_events, lambda _: rows.signal(signal_type="termination-notice")),
    (t.clients, lambda _: {"id": "c", "name": "c", "executor": "both", "created_at": NOW, "updated_at": NOW}),
]


@pytest.mark.parametrize(("table", "row"), LEGAL, ids=lambda part: getattr(part, "name", ""))
def test_only_the_legal_words_are_stored(database, table, row):
    client_id = rows.with_agent(database)
    with refused("_legal"):
        add(database, table, **row(client_id))


PLACEHOLDERS = ["pending", "replica-1234567890", "i-123", "i-0123456789abcdef01", "", "i-" + " " * 17]


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_an_instance_id_is_one_that_ec2_could_have_given(database, placeholder):
    client_id = rows.with_agent(database)
    wrong = [
        (t.instances, rows.instance(client_id, id=placeholder)),
        (t.agents, rows.agent(client_id, id="agent-2", logical_agent_id="x", instance_id=placeholder)),
        (t.replica_instances, rows.replica(instance_id=placeholder)),
        (t.commands, rows.command(client_id, instance_id=placeholder)),
        (t.switches, rows.switch(client_id, new_instance_id=placeholder)),
        (t.epoch_grants, rows.grant(instance_id=placeholder)),
        (t.spot_interruption_events, rows.signal(instance_id=placeholder)),
    ]
    for table, row in wrong:
        with refused("_real"):
            add(database, table, **row)


@pytest.mark.parametrize("real", [OLD, "i-1234abcd", None])
def test_a_replica_has_a_real_instance_or_none_yet(database, real):
    rows.with_agent(database)
    add(database, t.replica_instances, **rows.replica(instance_id=real))


@pytest.mark.parametrize("status", ["ready", "promoted"])
def test_what_is_ready_is_somewhere(database, status):
    rows.with_agent(database)
    with refused("ck_ready_is_somewhere"):
        add(database, t.replica_instances, **rows.replica(status=status, is_active=status == "ready"))


def test_a_machine_stands_by_for_one_live_replica(database):
    rows.with_agent(database)
    add(database, t.replica_instances, **rows.replica(instance_id=NEW))
    spare = {"id": "replica-2", "replica_type": "automatic-rebalance", "instance_id": NEW}
    with refused("live_instance_id"):
        add(database, t.replica_instances, **rows.replica(**spare))
    add(database, t.replica_instances, **rows.replica(**spare, status="failed", is_active=False))


@pytest.mark.parametrize("epoch", [0, -1])
def test_epochs_begin_with_one(database, epoch):
    rows.with_agent(database)
    with refused("ck_epoch_counts"):
        add(database, t.epoch_grants, **rows.grant(epoch=epoch))


@pytest.mark.parametrize("cap", ["max_instances", "max_hourly_usd", "max_launches_per_hour"])
def test_a_cap_is_no_less_than_nothing(database, cap):
    row = {"id": "c", "name": "c", "executor": "agent", "created_at": NOW, "updated_at": NOW}
    with refused("ck_caps"):
        add(database, t.clients, **row, **{cap: -1})


def test_the_same_signal_twice_is_one_event(database):
    rows.with_agent(database)
    add(database, t.spot_interruption_events, **rows.signal())
    with refused("uq_spot_interruption_events|spot_interruption_events.instance_id"):
        add(database, t.spot_interruption_events, **rows.signal(id="event-2"))
    later = NOW + timedelta(microseconds=1)
    add(database, t.spot_interruption_events, **rows.signal(id="event-3", signal_time=later))


@pytest.mark.parametrize("price", [Decimal(0), Decimal("-0.01")])
def test_a_price_is_positive(database, price):
    rows.pools(database)
    with refused("ck_price_positive"):
        add(database, t.spot_price_snapshots, pool_id=POOL_A, price=price, captured_at=NOW)


def test_a_price_belongs_to_a_known_pool(database):
    with refused("FOREIGN KEY"):
        add(database, t.spot_price_snapshots, pool_id=POOL_A, price=Decimal(1), captured_at=NOW)


def test_a_token_opens_one_door(database):
    row = {"name": "x", "api_token": "0" * 64, "created_at": NOW, "updated_at": NOW}
    add(database, t.clients, id="a", **row)
    with refused("api_token"):
        add(database, t.clients, id="b", **row)


@pytest.mark.parametrize("usd", ["0.000001", "0.0312", "0.031250", "999999.999999"])
def test_money_comes_back_to_the_last_digit(database, usd):
    client_id = rows.client(database)
    add(database, t.instances, **rows.instance(client_id, spot_price=Decimal(usd)))
    assert database.read(lambda tx: tx.scalar(sa.select(t.instances.c.spot_price))) == Decimal(usd)


def test_times_come_back_with_microseconds_and_zone(database):
    client_id = rows.client(database)
    moment = NOW + timedelta(microseconds=123_457)
    add(database, t.instances, **rows.instance(client_id, launched_at=moment))
    assert database.read(lambda tx: tx.scalar(sa.select(t.instances.c.launched_at))) == moment


def test_a_naive_time_is_refused(sqlite_database):
    with pytest.raises(sa.exc.StatementError, match="naive time"):
        add(sqlite_database, t.leases, name="a", holder="b", epoch=1, until=NOW.replace(tzinfo=None))
