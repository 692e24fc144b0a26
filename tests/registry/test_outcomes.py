"""What launches, refusals and interruptions showed lands in the looks, and comes out as training data."""

import io
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.pools import Pool
from spotguard.market.availability import read_availability
from spotguard.market.outcomes import Look, Run, states, write
from spotguard.store import looks, outcomes
from spotguard.store import tables as t
from spotguard.store.pools import ensure_pools
from spotguard.training import traces
from tests.coordinator.scene import A, B, C, Scene
from tests.store import rows

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def told(scene):
    return [(row.pool_id, row.up, row.because) for row in scene.rows(t.pool_looks)]


def test_a_refusal_is_a_look_with_ec2s_code_and_the_launch_that_succeeds_is_another():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    scene.ec2.controls.make_dry(C)  # the cheapest
    scene.run(3600, until=lambda: scene.agent(agent).current_pool_id == B.id)
    (refused, launched) = told(scene)
    assert refused == (C.id, False, "it refused a launch (InsufficientInstanceCapacity)")
    assert launched == (B.id, True, f"{scene.serving(agent)} was launched")


def test_an_interruption_that_nobody_heard_of_is_a_look_all_the_same():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(300)
    machine = InstanceId(scene.serving(agent))
    scene.mute.add(machine)
    scene.ec2.controls.interrupt(machine)
    scene.run(600)
    assert (A.id, False, f"AWS interrupted {machine}") in told(scene)


def test_each_five_minutes_tell_the_worst_that_was_seen_in_them():
    seen = [Look(at(12), B, up=False), Look(at(13), B, up=True), Look(at(21), A, up=False)]
    ran = [Run(A, at(1), at(21))]
    assert list(states(seen, ran)) == [
        (at(5), A, True),
        (at(10), A, True),
        (at(15), A, True),
        (at(15), B, False),
        (at(20), A, True),
        (at(25), A, False),
    ]


def test_the_file_is_read_by_training_and_backtest(tmp_path):
    buffer = io.StringIO()
    counted = write(buffer, states([Look(at(31), A, up=False)], [Run(A, at(0), at(30))]))
    assert counted == {"rows": 8, "down": 1}
    path = tmp_path / "mine.csv"
    path.write_text(buffer.getvalue())
    trace = traces.read(path)
    assert [look.up[A] for look in trace.looks] == [True] * 7 + [False]
    assert [one.up for one in read_availability([path]).looks[A]] == [True] * 7 + [False]


@pytest.fixture
def seen(database):
    """Two tenants; one has looked at two regions."""
    now = datetime.now(UTC)
    acme, other = rows.client(database), rows.client(database, "Other")
    mumbai, virginia = Pool("t3.medium", "ap-south-1a"), Pool("t3.medium", "us-east-1a")

    def work(tx):
        ensure_pools(tx, now, [mumbai, virginia])
        for pool in (mumbai, virginia):
            looks.note(tx, now - timedelta(hours=1), acme, pool, up=True, because="a test")
        looks.note(tx, now - timedelta(days=200), acme, mumbai, up=False, because="long ago")
        looks.note(tx, now - timedelta(hours=1), other, mumbai, up=False, because="theirs")

    database.write(work)
    return acme


def test_the_command_writes_one_tenants_region(shell, seen, tmp_path):
    out = tmp_path / "o.csv"
    line = shell.fails("model", "outcomes", "--client", "Acme", "--out", str(out), code=2)
    assert "ap-south-1, us-east-1" in line
    words = ["model", "outcomes", "--client", "Acme", "--out", str(out), "--region", "ap-south-1"]
    assert shell.json(*words) == {"region": "ap-south-1", "file": str(out), "rows": 1, "down": 0}
    lines = out.read_text().splitlines()
    assert lines[0] == "Timestamp,AvailabilityZone,InstanceType,Available"
    assert lines[1].endswith(",ap-south-1a,t3.medium,1")
    assert shell.json(*words, "--days", "400")["rows"] == 2


def test_a_tenant_that_has_seen_nothing_is_told_so(shell, database, tmp_path):
    rows.client(database)
    words = ["model", "outcomes", "--client", "Acme", "--out", str(tmp_path / "o.csv")]
    assert "seen nothing" in shell.fails(*words)


def test_runs_count_from_ec2s_own_times(shell, database):
    client_id = rows.with_agent(database)
    rows.pools(database)
    now = rows.NOW
    machine = {
        "client_id": client_id,
        "agent_id": "agent-1",
        "current_mode": "spot",
        "current_pool_id": rows.POOL_A,
        "is_active": True,
        "created_at": now,
        "updated_at": now,
    }
    rows.add(
        database,
        t.instances,
        id=rows.OLD,
        ec2_state="running",
        launched_at=now - timedelta(days=9),
        seen_at=now - timedelta(hours=2),
        **machine,
    )
    rows.add(database, t.instances, id=rows.NEW, **machine)  # EC2 has not shown it
    since = now - timedelta(days=1)
    _, runs = database.read(lambda tx: outcomes.of_client(tx, now, client_id, "ap-south-1", since))
    assert [(run.since, run.until) for run in runs] == [
        (since, now - timedelta(hours=2))
    ]  # nobody looked since
    database.write(
        lambda tx: tx.execute(sa.update(t.instances).values(ec2_state="terminated", is_active=False))
    )
    _, runs = database.read(lambda tx: outcomes.of_client(tx, now, client_id, "ap-south-1", since))
    assert runs == []
