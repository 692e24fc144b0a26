"""The gate, on real processes."""

import sys
import threading
import time
from pathlib import Path

import pytest

from spotguard.domain.errors import GateFailed, StartFailed
from spotguard.domain.instances import GateState
from spotguard.host.adopting import AdoptingGate
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.systemd_gate import SystemdGate
from tests.host.namespaces import until


@pytest.fixture
def workload(tmp_path):
    """A workload that runs while a file is there."""
    flag = tmp_path / "running"
    return flag, GateCommands(
        start=["touch", str(flag)],
        stop=["rm", "-f", str(flag)],
        status=["test", "-e", str(flag)],
        probe=["test", "-s", str(flag)],
    )


def test_it_opens_and_closes_and_again_is_harmless(workload):
    _, commands = workload
    gate = CommandGate(commands)
    assert gate.state() is GateState.CLOSED
    for _ in range(2):
        gate.open(1)
        assert gate.state() is GateState.OPEN
    for _ in range(2):
        gate.close()
        assert gate.state() is GateState.CLOSED


def test_health_is_the_users_probe_and_false_while_closed(workload):
    flag, commands = workload
    gate = CommandGate(commands)
    assert not gate.healthy()
    gate.open(1)
    assert not gate.healthy()
    flag.write_text("well")
    assert gate.healthy()


@pytest.mark.parametrize(
    "broken",
    [
        GateCommands(start=["false"], stop=["false"], status=["false"]),
        GateCommands(start=["true"], stop=["true"], status=["false"]),
        GateCommands(start=["/no/such/program"], stop=["true"], status=["false"]),
    ],
)
def test_a_start_that_does_not_start_is_told(broken):
    with pytest.raises(GateFailed):
        CommandGate(broken, open_seconds=0.5).open(1)


def test_a_stop_that_does_not_stop_is_told():
    with pytest.raises(GateFailed, match="still runs"):
        CommandGate(GateCommands(start=["true"], stop=["true"], status=["true"])).close()


def script(path, *lines):
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o700)
    return [str(path)]


def test_a_workload_that_start_leaves_in_the_background_is_waited_for_by_nobody_and_lives_on(tmp_path):
    """It has the output of the command that started it, as `app &` in a script gives it."""
    flag, beats = tmp_path / "running", tmp_path / "beats"
    work = f"while [ -e {flag} ]; do echo a word && echo . >> {beats}; sleep 0.05; done"
    start = script(tmp_path / "start", f"touch {flag}", f"({work}) &")
    gate = CommandGate(GateCommands(start, stop=["rm", "-f", str(flag)], status=["test", "-e", str(flag)]))
    begun = time.monotonic()
    gate.open(1)
    assert time.monotonic() - begun < 10
    threading.Event().wait(0.5)
    gate.close()
    assert len(beats.read_text().split()) > 1, "its next words found somebody who hears them"


@pytest.mark.parametrize("asked", ["status", "probe"])
def test_what_hangs_below_a_shell_is_ended_with_it(tmp_path, asked):
    """A look every few seconds leaves as many processes, until no last pass can be started."""
    named = f"sleep {tmp_path.stat().st_ino}.5"
    hangs = script(tmp_path / "hangs", f"{named}; true")
    commands = GateCommands(["true"], ["true"], hangs if asked == "status" else ["true"], hangs)
    gate = CommandGate(commands, look_seconds=0.3)
    assert gate.runs() is (None if asked == "status" else True)
    assert not gate.healthy()
    assert until(lambda: named not in running())


def running():
    told = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return [one.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace") for one in told]


def slow_to_start(tmp_path):
    """A child of its `start` starts the workload once the file is there: longer than is waited for."""
    flag, go = tmp_path / "running", tmp_path / "go"
    later = f"while [ ! -e {go} ]; do sleep 0.02; done; touch {flag}"
    start = script(tmp_path / "start", f"sh -c '{later}' & wait")
    commands = GateCommands(start, stop=["rm", "-f", str(flag)], status=["test", "-e", str(flag)])
    return CommandGate(commands, open_seconds=0.3), go


def test_what_a_start_that_took_too_long_has_begun_starts_nothing_after_the_stop(tmp_path):
    """As by sudo: the one that we wait for is killed, its child goes on, and would serve beside the next holder."""
    gate, go = slow_to_start(tmp_path)
    with pytest.raises(StartFailed, match="no end within"):
        gate.open(1)
    gate.close()
    go.touch()
    threading.Event().wait(0.5)
    assert gate.state() is GateState.CLOSED


def test_a_start_that_never_ends_is_made_again(tmp_path):
    commands = GateCommands(["sleep", "60"], stop=["true"], status=["false"])
    gate = CommandGate(commands, open_seconds=0.1, start_seconds=0.5)
    with pytest.raises(StartFailed, match="no end within"):
        gate.open(1)

    def is_ended():
        with pytest.raises(StartFailed, match="does not run"):
            gate.open(1)
        return gate.state() is GateState.CLOSED

    assert until(is_ended)
    with pytest.raises(StartFailed, match="no end within"):
        gate.open(1)
    gate.close()


def test_a_workload_that_needs_longer_to_start_than_is_waited_for_is_found_open_in_the_end(tmp_path):
    """A database that recovers: who ended it each time would never have it back."""
    gate, go = slow_to_start(tmp_path)
    with pytest.raises(StartFailed, match="no end within"):
        gate.open(1)
    assert gate.state() is GateState.OPEN, "nobody knows when it serves"
    assert not gate.healthy()
    with pytest.raises(StartFailed, match="goes on"):
        gate.open(1)
    go.touch()
    assert until(gate.healthy)
    gate.open(1)
    gate.close()
    assert gate.state() is GateState.CLOSED


def test_what_cannot_be_asked_counts_as_open():
    gate = CommandGate(GateCommands(start=["true"], stop=["true"], status=["/no/such/program"]))
    assert gate.state() is GateState.OPEN
    with pytest.raises(GateFailed):
        gate.close()


def test_one_that_nobody_can_ask_is_well_only_by_the_word_of_its_probe():
    """A promotion would tell that it serves, and the old one be ended, before anything was started here."""
    unknown = ["/no/such/program"]
    assert not CommandGate(GateCommands(start=["true"], stop=["true"], status=unknown)).healthy()
    assert CommandGate(GateCommands(start=["true"], stop=["true"], status=unknown, probe=["true"])).healthy()


@pytest.mark.parametrize("last", ["kill -9 $$", "/no/such/program"])
def test_a_status_that_was_killed_or_found_no_program_has_seen_no_workload_stopped(tmp_path, last):
    """As the kernel kills it on a machine without memory: the epoch would be let go of, and two serve."""
    gate = CommandGate(GateCommands(["true"], stop=["true"], status=script(tmp_path / "status", last)))
    assert gate.state() is GateState.OPEN
    with pytest.raises(GateFailed):
        gate.close()


SYSTEMCTL = """#!{python}
import pathlib, sys
state = pathlib.Path({state!r})
verb = sys.argv[1]
if verb == "show":
    told = {{"ActiveState": state.read_text()}}
    asked = sys.argv[2].partition("=")[2].split(",")
    print(*(f"{{name}}={{told.get(name, '')}}" for name in asked), sep=chr(10))
else:
    state.write_text("active" if verb == "start" else {stopped!r})
"""


@pytest.mark.parametrize("stopped", ["inactive", "failed", "deactivating"])
def test_a_unit_is_closed_only_when_systemd_says_that_it_is(tmp_path, stopped):
    state, systemctl = tmp_path / "state", tmp_path / "systemctl"
    state.write_text("inactive")
    systemctl.write_text(SYSTEMCTL.format(python=sys.executable, state=str(state), stopped=stopped))
    systemctl.chmod(0o700)
    gate = SystemdGate("web.service", systemctl=str(systemctl))
    gate.open(3)
    assert gate.state() is GateState.OPEN
    if stopped == "deactivating":
        with pytest.raises(GateFailed):
            gate.close()
        return
    gate.close()
    assert gate.state() is GateState.CLOSED


@pytest.mark.parametrize("state", ["activating", "deactivating"])
def test_a_unit_that_does_not_run_yet_or_any_more_is_not_well(tmp_path, state):
    """As one that systemd starts again and again is for most of the time: its promotion would tell that it serves, and
    the old one be ended.
    """
    systemctl = script(tmp_path / "systemctl", f"echo ActiveState={state}")
    gate = SystemdGate("web.service", systemctl=systemctl[0])
    assert gate.state() is GateState.OPEN
    assert not gate.healthy()


@pytest.mark.parametrize("state", ["active", "reloading"])
def test_a_unit_that_runs_is_well(tmp_path, state):
    systemctl = script(tmp_path / "systemctl", f"echo ActiveState={state}")
    assert SystemdGate("web.service", systemctl=systemctl[0]).healthy()


def test_the_received_state_is_put_in_place_before_the_workload_opens(workload):
    _, commands = workload
    done = []
    gate = AdoptingGate(CommandGate(commands), lambda epoch: done.append(f"adopted for {epoch}"))
    gate.open(1)
    gate.open(1)
    assert done == ["adopted for 1"], "an open gate's state is its own"
    assert gate.state() is GateState.OPEN


def test_a_state_that_cannot_be_put_in_place_opens_nothing(workload):
    def fail(_epoch):
        raise OSError("no space")

    _, commands = workload
    gate = AdoptingGate(CommandGate(commands), fail)
    with pytest.raises(GateFailed):
        gate.open(1)
    assert gate.state() is GateState.CLOSED
