"""`spotguard bench failover`: what it sums up, and one small run of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Queue

import pytest
from typer.testing import CliRunner

from spotguard.bench.failover import Kind, Run, summary
from spotguard.bench.failovers import _collect, kinds_of
from spotguard.bench.lab.bare import handover_seconds
from spotguard.bench.lab.site import NotInTime
from spotguard.cli.main import app

PATIENCE = 120.0
needs_rsync = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is not installed: apt-get install rsync"
)


def test_half_of_the_runs_after_a_notice_are_without_a_server():
    kinds = kinds_of(runs=10, deaths=3)
    assert [kinds.count(kind) for kind in Kind] == [5, 5, 3]


def test_deaths_are_spread_over_the_runs():
    kinds = kinds_of(runs=10, deaths=2)
    assert [number for number, kind in enumerate(kinds) if kind is Kind.UNHEARD_DEATH] == [5, 11]


def test_only_what_is_lost_after_a_notice_breaks_a_promise():
    runs = [
        Run(Kind.SERVER_UP, 1.0, 0, 0.0),
        Run(Kind.SERVER_UP, 3.0, 0, 0.0),
        Run(Kind.UNHEARD_DEATH, 5.0, 700, 6.5),
    ]
    found = summary(runs, overlaps=0, doubled=0, wall_seconds=60.0)
    assert found["lost_writes"] == 0
    assert found["server_up"] == {"p50": 1.0, "p99": 3.0, "max": 3.0}
    assert found["unheard_death_gap"]["records"] == {"p50": 700, "max": 700}
    assert found["server_down"] is None, "every kind is told, also where an interruption left none of it"


def test_a_site_that_cannot_go_on_is_told_and_what_the_others_did_counts():
    heard = Queue()
    run = Run(Kind.SERVER_UP, 1.0, 0, 0.0)
    for told in (run, NotInTime("no standby came"), run, {"overlaps": 1, "doubled": 2}):
        heard.put(told)
    found = _collect(heard, [None, None], lambda run: None)
    assert (found.runs, found.overlaps, found.doubled) == ([run, run], 1, 2)
    assert found.failures == ["no standby came"]


@needs_rsync
def test_the_baseline_moves_the_workload_and_back():
    assert len(handover_seconds(2)) == 2


@pytest.mark.long
@needs_rsync
def test_a_notice_is_survived_at_the_client():
    done = CliRunner().invoke(app, ["bench", "failover", "--runs", "2", "--deaths", "0", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["runs"], found["overlaps"], found["lost_writes"]) == (2, 0, 0)


@pytest.mark.long
@needs_rsync
def test_ctrl_c_ends_the_sites_tells_what_was_finished_and_leaves_nothing_behind(tmp_path):
    """A terminal interrupts the whole group, at first while the sites load, and an impatient person does it twice."""
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = f"{hears}; from spotguard.cli.entry import main; main()"
    command = [sys.executable, "-c", run, "bench", "failover", "--sites", "2"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as bench:
        try:
            until(lambda: len(list(tmp_path.glob("spotguard-site-*/site.db"))) == 2)
            for _ in range(2):
                os.killpg(bench.pid, signal.SIGINT)
            said, complained = bench.communicate(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bench.pid, signal.SIGKILL)
    assert bench.returncode == 128 + signal.SIGINT
    assert complained == ""
    assert said.startswith("interrupted: the figures are those of the runs that were finished\nruns ")
    assert list(tmp_path.iterdir()) == []
    assert naming(tmp_path) == []


def test_what_a_site_finished_before_it_was_interrupted_counts_and_one_that_ended_unheard_is_not_waited_for():
    heard, workers = Queue(), [Ended(), Ended()]
    run = Run(Kind.SERVER_UP, 1.0, 0, 0.0)
    for told in (run, {"overlaps": 1, "doubled": 0}):
        heard.put(told)
    found = _collect(heard, workers, lambda run: None, [signal.SIGINT])
    assert (found.runs, found.overlaps, found.failures) == ([run], 1, [])
    assert all(worker.told_to_end for worker in workers)


class Ended:
    """A site's process that is over when it is looked at."""

    told_to_end = False

    def terminate(self):
        self.told_to_end = True

    def is_alive(self):
        return False


def naming(folder):
    """The command lines of what still runs with a path in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "cmdline").read_bytes())
    return [line for line in found if os.fsencode(folder) in line]


def until(happened):
    began, tick = time.monotonic(), threading.Event()
    while not happened():
        assert time.monotonic() - began < PATIENCE
        tick.wait(0.05)
