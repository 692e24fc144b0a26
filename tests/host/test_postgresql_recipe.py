"""The recipe for PostgreSQL on two real clusters: what was acknowledged is there after a promotion; lag is measured."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.domain.instances import GateState
from spotguard.host.command_sync import CommandSync, SyncCommands
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.recipes import postgresql
from spotguard.ports.workload import SyncTarget
from tests.host.namespaces import until, whole_pass

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
PYTHON = "/usr/bin/python3"  # whoever owns the cluster may not reach the tests' own
AS_ITS_OWNER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        BIN is None or not Path(PYTHON).exists(),
        reason="not installed: postgresql (apt-get install postgresql python3)",
    ),
]


class Cluster:
    """A cluster of its own address, and what SpotGuard is told of it."""

    def __init__(self, folder, name, address, port):
        self.data, self.address, self.port = folder / name, address, port
        self.folder = folder
        environment = {
            "PGDATA": self.data,
            "PGPORT": port,
            "PGUSER": "postgres",
            "PGHOST": address,
            "SPOTGUARD_PG_BIN": BIN,
            postgresql.PATIENCE: 3,
        }
        self.environment = ["env", *(f"{key}={value}" for key, value in environment.items())]

    @property
    def target(self):
        return SyncTarget("i-0123456789abcdef0", self.address)

    def run(self, *words):
        command = [*AS_ITS_OWNER, *self.environment, *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def ask(self, query):
        return self.run(BIN / "psql", "-XAtq", "--dbname", "postgres", "-c", query)

    def verb(self, verb):
        return [*AS_ITS_OWNER, *self.environment, PYTHON, str(self.folder / "recipe.py"), verb]

    def settings(self, **values):
        lines = "".join(f"{name} = '{value}'\n" for name, value in values.items())
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(lines)

    def sync(self):
        verbs = (self.verb(verb) for verb in ("position", "push", "received", "adopt"))
        return CommandSync(SyncCommands(*verbs), 60)

    def gate(self):
        return CommandGate(GateCommands(self.verb("serve"), self.verb("stop"), self.verb("serves"), None))

    def dies(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.run(BIN / "pg_ctl", "stop", "-m", "immediate", "-D", self.data)


@pytest.fixture
def pair():
    """A primary, and a standby without which nothing is acknowledged."""
    folder = Path(tempfile.mkdtemp(prefix="spotguard-pg-"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    primary = Cluster(folder, "primary", "127.0.0.1", port)
    standby = Cluster(folder, "standby", "127.0.0.2", port)
    shutil.copy(postgresql.__file__, folder / "recipe.py")
    if AS_ITS_OWNER:
        shutil.chown(folder, "postgres")
    try:
        primary.run(BIN / "initdb", "-D", primary.data, "-A", "trust", "-U", "postgres", "--no-sync")
        primary.settings(
            listen_addresses=primary.address,
            port=port,
            unix_socket_directories="",
            wal_sender_timeout="2s",
            synchronous_standby_names="*",
            shared_buffers="16MB",
        )
        primary.gate().open(1)
        primary.run(BIN / "pg_basebackup", "-D", standby.data, "-R", "-X", "stream", "-c", "fast")
        standby.settings(listen_addresses=standby.address)
        standby.run(
            BIN / "pg_ctl", "start", "-D", standby.data, "-w", "-s", "-l", standby.data / "spotguard.log"
        )
        primary.ask("create table written (number int)")
        yield primary, standby
    finally:
        for cluster in (primary, standby):
            cluster.dies()
        shutil.rmtree(folder)


def write_until_it_fails(primary, acknowledged):
    """One row after the other; those that were acknowledged."""
    for number in range(100_000):
        try:
            primary.ask(f"insert into written values ({number})")
        except subprocess.CalledProcessError:
            return
        acknowledged.append(number)


def rows_of(cluster):
    return {int(line) for line in cluster.ask("select number from written").split()}


def test_a_planned_move_takes_everything_along(pair):
    primary, standby = pair
    pushing, receiving = primary.sync(), standby.sync()
    assert primary.gate().state() is GateState.OPEN
    assert standby.gate().state() is GateState.CLOSED, "a standby is up and does not serve"
    primary.ask("insert into written select generate_series(1, 1000)")
    before = whole_pass(pushing, standby.target)
    assert receiving.received().position >= before.position
    assert until(lambda: receiving.received().lag_seconds is not None)
    primary.ask("set synchronous_commit = local; insert into written select generate_series(1001, 2000)")
    primary.gate().close()
    last = whole_pass(pushing, standby.target)
    assert last.position == pushing.position() > before.position
    assert receiving.adopt(2) is True
    standby.gate().open(2)
    assert standby.gate().state() is GateState.OPEN
    assert rows_of(standby) == set(range(1, 2001))
    assert receiving.adopt(2) is False, "asked again, it stays as it is"
    assert receiving.position() > last.position, "the next holder counts on"


def test_one_that_takes_no_more_connections_counts_as_open(pair):
    """Who must be sure that it is closed is not."""
    primary, standby = pair
    for cluster, state in ((primary, GateState.OPEN), (standby, GateState.CLOSED)):
        *to_its_python, python, recipe, verb = cluster.verb("serves")
        nowhere = [*to_its_python, "PGPORT=1", python, recipe, verb]
        assert CommandGate(GateCommands(["true"], ["true"], nowhere)).state() is state


def test_nothing_acknowledged_is_lost_when_the_primary_dies_unheard(pair):
    primary, standby = pair
    acknowledged = []
    writer = threading.Thread(target=write_until_it_fails, args=(primary, acknowledged))
    writer.start()
    until(lambda: len(acknowledged) >= 20)
    primary.dies()
    writer.join(60)
    assert standby.sync().adopt(2) is True
    standby.ask("alter system set synchronous_standby_names = ''")
    standby.ask("select pg_reload_conf()")
    assert set(acknowledged) <= rows_of(standby)
    assert standby.gate().state() is GateState.OPEN


def test_what_was_acknowledged_before_a_crash_is_not_taken_for_sent(pair):
    """Its gate counts as closed, and its last checkpoint is long past: the standby has that, and not what came then."""
    primary, standby = pair
    pushing = primary.sync()
    whole_pass(pushing, standby.target)
    standby.dies()
    primary.ask("set synchronous_commit = local; insert into written select generate_series(1, 1000)")
    primary.dies()
    standby.run(BIN / "pg_ctl", "start", "-D", standby.data, "-w", "-s", "-l", standby.data / "spotguard.log")
    assert primary.gate().state() is GateState.CLOSED
    with pytest.raises(SyncFailed, match=r"not stopped in order \(in production\)"):
        whole_pass(pushing, standby.target)
    primary.gate().open(1)
    assert until(lambda: rows_of(standby) == set(range(1, 1001)))
    primary.gate().close()
    assert whole_pass(pushing, standby.target).position == pushing.position()


def test_a_standby_that_is_cut_off_measures_how_far_it_is_behind(pair):
    primary, standby = pair
    pushing, receiving = primary.sync(), standby.sync()
    whole_pass(pushing, standby.target)
    until(lambda: receiving.received().lag_seconds is not None)
    in_step = json.loads(standby.run(*standby.verb("received")[len(AS_ITS_OWNER) :]))
    assert in_step["lag_bytes"] == 0
    assert in_step["lag_seconds"] < 3
    joined = standby.ask("show primary_conninfo").replace("'", "''")
    standby.ask("alter system set primary_conninfo = 'host=127.0.0.3 port=1'")
    standby.ask("select pg_reload_conf()")
    until(lambda: not standby.ask("select 1 from pg_stat_wal_receiver"))
    primary.ask("set synchronous_commit = local; insert into written select generate_series(1, 20000)")
    with pytest.raises(SyncFailed, match=r"lacks \d{6,} bytes"):
        whole_pass(pushing, standby.target)
    behind = receiving.received()
    assert behind.lag_seconds > 3, "as long as the push waited"
    assert behind.position < pushing.position()
    standby.ask(f"alter system set primary_conninfo = '{joined}'")
    standby.ask("select pg_reload_conf()")
    again = whole_pass(pushing, standby.target)
    assert again.position > behind.position
    assert receiving.received().position >= again.position
    assert until(lambda: receiving.received().lag_seconds < 3)


def test_who_follows_a_new_timeline_is_sent_to_as_before(pair):
    """The former primary was stopped in order, and follows the one that took over."""
    former, holder = pair
    former.gate().close()
    assert holder.sync().adopt(2) is True
    follow(former, holder)
    holder.ask("insert into written values (1)")
    made = whole_pass(holder.sync(), former.target)
    assert former.sync().received().position >= made.position
    holder.gate().close()
    last = whole_pass(holder.sync(), former.target)
    assert last.position == holder.sync().position()
    assert rows_of(former) == {1}


def follow(former, holder):
    former.settings(primary_conninfo=f"host={holder.address} port={holder.port} user=postgres")
    former.run("touch", former.data / "standby.signal")
    former.run(BIN / "pg_ctl", "start", "-D", former.data, "-w", "-s", "-l", former.data / "spotguard.log")


def test_a_log_that_has_gone_another_way_is_not_what_is_here_however_long_it_is(pair):
    """The former primary died with more than its standby had, and was made to follow that without pg_rewind."""
    former, holder = pair
    holder.dies()
    former.ask("set synchronous_commit = local; insert into written select generate_series(1, 20000)")
    former.dies()
    holder.run(BIN / "pg_ctl", "start", "-D", holder.data, "-w", "-s", "-l", holder.data / "spotguard.log")
    assert holder.sync().adopt(2) is True
    holder.ask("alter system set synchronous_standby_names = ''")
    holder.ask("select pg_reload_conf()")
    holder.ask("insert into written values (1)")
    follow(former, holder)
    assert former.sync().received().position > holder.sync().position()
    with pytest.raises(SyncFailed, match="does not follow timeline"):
        whole_pass(holder.sync(), former.target)


def test_what_it_cannot_do_is_one_line(capsys):
    assert postgresql.main([]) == 2
    assert postgresql.main(["drop"]) == 2
    assert "position, push" in capsys.readouterr().err
