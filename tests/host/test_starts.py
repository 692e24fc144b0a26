"""A start that outlives its agent starts nothing after the gate was closed: somebody else may serve by then."""

import signal
import subprocess
import sys
import threading

import pytest

from spotguard.domain.errors import StartFailed
from spotguard.domain.instances import GateState
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.starts import Starts
from spotguard.ports.workload import STARTS
from tests.host.namespaces import until
from tests.host.test_gate import running, script

AGENT = """
import sys
from pathlib import Path
from spotguard.domain.errors import GateFailed
from spotguard.host.gate import CommandGate, GateCommands
start, flag, folder, seconds = sys.argv[1:]
commands = GateCommands([start], stop=["rm", "-f", flag], status=["test", "-e", flag])
try:
    CommandGate(commands, open_seconds=float(seconds), folder=Path(folder)).open(1)
except GateFailed:
    pass
"""


class Story:
    """A workload that runs while `running` is there. A child of its `start` starts it once `go` is there."""

    def __init__(self, tmp_path):
        self.flag, self.go, self.begun = tmp_path / "running", tmp_path / "go", tmp_path / "begun"
        self.folder = tmp_path / "agent"
        later = f"touch {self.begun}; while [ ! -e {self.go} ]; do sleep 0.02; done; touch {self.flag}"
        self.start = script(tmp_path / "start", f"sh -c '{later}' & wait")
        stop, status = ["rm", "-f", str(self.flag)], ["test", "-e", str(self.flag)]
        self.gate = CommandGate(GateCommands(self.start, stop, status), folder=self.folder)

    def former_agent(self, seconds):
        """It waits for so long for its start."""
        told = (*self.start, str(self.flag), str(self.folder), str(seconds))
        return subprocess.Popen([sys.executable, "-c", AGENT, *told])

    @property
    def noted(self):
        path = self.folder / STARTS
        return path.read_text().split("\n")[1::2] if path.exists() else []


@pytest.fixture
def story(tmp_path):
    story = Story(tmp_path)
    yield story
    story.go.touch()


@pytest.mark.parametrize("ends", ["after its start was late", "killed while it waits"])
def test_what_a_start_of_an_agent_that_is_gone_has_begun_starts_nothing_after_the_stop(story, ends):
    """systemd ends the agent alone (KillMode=process): what it has begun goes on."""
    agent = story.former_agent(0.3 if ends.startswith("after") else 60)
    assert until(lambda: story.begun.exists() and story.noted)
    if ends.startswith("killed"):
        agent.send_signal(signal.SIGKILL)
    agent.wait()
    story.gate.close()
    story.go.touch()
    threading.Event().wait(0.5)
    assert story.gate.state() is GateState.CLOSED
    assert story.noted == []


def test_a_workload_whose_start_outlives_its_agent_is_found_open_by_the_next_one(story):
    """It is no reason to end it: it may need longer than its agent has lived."""
    agent = story.former_agent(0.3)
    assert until(lambda: story.begun.exists() and story.noted)
    agent.wait()
    story.go.touch()
    assert until(story.gate.healthy)
    story.gate.open(1)
    story.gate.close()
    assert story.gate.state() is GateState.CLOSED


def in_the_background(tmp_path, folder, *, seconds):
    """As a script that ends with `app &`: it has ended before the workload runs. It says so each time."""
    flag, go, begun = tmp_path / "running", tmp_path / "go", tmp_path / "begun"
    later = f"while [ ! -e {go} ]; do sleep 0.02; done; touch {flag}; exec sleep 30"
    start = script(tmp_path / "behind", f"echo begins >> {begun}", f"({later}) &")
    stop, status = ["rm", "-f", str(flag)], ["test", "-e", str(flag)]
    return CommandGate(GateCommands(start, stop, status), open_seconds=seconds, folder=folder), go, begun


def test_what_a_start_has_left_in_the_background_starts_nothing_after_the_stop(tmp_path):
    """Whoever comes after it serves by then."""
    gate, go, _ = in_the_background(tmp_path, tmp_path / "agent", seconds=0.5)
    with pytest.raises(StartFailed, match="goes on"):
        gate.open(1)
    gate.close()
    go.touch()
    threading.Event().wait(0.5)
    assert gate.state() is GateState.CLOSED


def test_what_has_lost_its_mark_is_ended_by_its_session_though_its_first_process_is_gone(tmp_path):
    """As `su -` and `env -i` do: it would write after the stop. So whoever has that session later counts as it."""
    flag, go, folder = tmp_path / "running", tmp_path / "go", tmp_path / "agent"
    later = f"while [ ! -e {go} ]; do sleep 0.02; done; touch {flag}; exec sleep 30"
    start = script(tmp_path / "start", f'env -i PATH="$PATH" sh -c "{later}" &')
    commands = GateCommands(start, ["rm", "-f", str(flag)], ["test", "-e", str(flag)])
    with pytest.raises(StartFailed, match="goes on"):
        CommandGate(commands, open_seconds=0.5, folder=folder).open(1)
    gate = CommandGate(commands, open_seconds=0.5, folder=folder)
    gate.close()
    go.touch()
    threading.Event().wait(0.5)
    assert gate.state() is GateState.CLOSED


@pytest.mark.parametrize("who", ["the same agent", "the next one"])
def test_nothing_is_started_beside_a_start_that_goes_on(tmp_path, who):
    """Two of them would write one state."""
    gate, go, begun = in_the_background(tmp_path, tmp_path / "agent", seconds=0.5)
    with pytest.raises(StartFailed):
        gate.open(1)
    if who == "the next one":
        gate, _, _ = in_the_background(tmp_path, tmp_path / "agent", seconds=0.5)
    with pytest.raises(StartFailed, match="goes on"):
        gate.open(1)
    go.touch()
    assert until(gate.healthy)
    gate.open(1)
    assert begun.read_text() == "begins\n"
    gate.close()


def test_what_a_start_has_left_in_the_background_is_waited_for_and_then_is_the_workload(tmp_path):
    gate, go, begun = in_the_background(tmp_path, tmp_path / "agent", seconds=30)
    opening = threading.Thread(target=gate.open, args=(1,))
    opening.start()
    assert until(begun.exists)
    go.touch()
    opening.join()
    assert gate.healthy()
    assert not (tmp_path / "agent" / STARTS).exists(), "the stop alone ends it"
    gate.close()


def test_what_a_start_has_left_in_a_session_of_its_own_is_waited_for(tmp_path):
    """A daemon of which a port tells: it was started a second time before it listened."""
    flag, begun = tmp_path / "running", tmp_path / "begun"
    start = script(tmp_path / "daemon", f"echo begins >> {begun}", f"setsid sh -c 'sleep 1; touch {flag}' &")
    gate = CommandGate(GateCommands(start, ["rm", "-f", str(flag)], ["test", "-e", str(flag)]))
    gate.open(1)
    assert gate.healthy()
    assert begun.read_text() == "begins\n"
    gate.close()


@pytest.mark.parametrize("who", ["the same agent", "the next one"])
def test_nor_is_one_that_has_left_its_session_started_again_or_forgotten_by_the_stop(tmp_path, who):
    """As daemons do: it counts as open until it runs, and comes up for nobody after the gate was closed."""
    flag, go, begun, folder = tmp_path / "running", tmp_path / "go", tmp_path / "begun", tmp_path / "agent"
    later = f"echo begins >> {begun}; while [ ! -e {go} ]; do sleep 0.02; done; touch {flag}; exec sleep 30"
    start = ["setsid", "--fork", *script(tmp_path / "daemon", later)]
    commands = GateCommands(start, ["rm", "-f", str(flag)], ["test", "-e", str(flag)])
    gate = CommandGate(commands, open_seconds=0.5, folder=folder)
    with pytest.raises(StartFailed, match="goes on"):
        gate.open(1)
    if who == "the next one":
        gate = CommandGate(commands, open_seconds=0.5, folder=folder)
    with pytest.raises(StartFailed, match="goes on"):
        gate.open(1)
    assert (gate.state(), begun.read_text()) == (GateState.OPEN, "begins\n")
    gate.close()
    go.touch()
    threading.Event().wait(0.5)
    assert gate.state() is GateState.CLOSED


def test_a_start_that_says_that_it_has_failed_is_ended_and_made_again(tmp_path):
    """What it has left running would be in the way, or write beside the next one."""
    named = f"sleep {tmp_path.stat().st_ino}.7"
    gate = CommandGate(
        GateCommands(script(tmp_path / "start", f"{named} &", "exit 1"), ["true"], ["false"]),
        folder=tmp_path / "agent",
    )
    for _ in range(2):
        with pytest.raises(StartFailed, match="exit 1"):
            gate.open(1)
        assert named not in running()
        assert gate.state() is GateState.CLOSED


def test_a_start_that_goes_on_is_ended_although_the_stop_fails_where_nothing_runs(tmp_path):
    """As many a stop does: `kill $(cat pid)`."""
    _, go, _ = in_the_background(tmp_path, tmp_path / "agent", seconds=0.5)
    flag = tmp_path / "running"
    commands = GateCommands([str(tmp_path / "behind")], ["rm", str(flag)], ["test", "-e", str(flag)])
    gate = CommandGate(commands, open_seconds=0.5, folder=tmp_path / "agent")
    with pytest.raises(StartFailed, match="goes on"):
        gate.open(1)
    gate.close()
    assert gate.state() is GateState.CLOSED
    go.touch()
    threading.Event().wait(0.5)
    assert not flag.exists()


def test_what_came_up_late_is_the_workload_from_then_on(tmp_path):
    """Its helpers are in nobody's way when it is started anew, and nothing is killed for having begun with it."""
    gate, go, begun = in_the_background(tmp_path, tmp_path / "agent", seconds=0.5)
    with pytest.raises(StartFailed):
        gate.open(1)
    go.touch()
    assert until(gate.healthy)
    assert gate.state() is GateState.OPEN
    assert not (tmp_path / "agent" / STARTS).exists()
    (tmp_path / "running").unlink()  # it crashes; the shell that has started it goes on
    assert gate.state() is GateState.CLOSED
    gate.open(1)
    assert begun.read_text() == "begins\n" * 2
    gate.close()


def test_the_next_agent_ends_a_start_that_never_ends(tmp_path):
    hangs, flag, folder = (
        script(tmp_path / "start", "exec sleep 60"),
        tmp_path / "running",
        tmp_path / "agent",
    )
    subprocess.run([sys.executable, "-c", AGENT, *hangs, str(flag), str(folder), "0.1"], check=True)
    commands = GateCommands(hangs, ["true"], ["false"])
    gate = CommandGate(commands, open_seconds=0.1, start_seconds=0.5, folder=folder)
    assert gate.state() is GateState.OPEN

    def is_ended():
        with pytest.raises(StartFailed):
            gate.open(1)
        return gate.state() is GateState.CLOSED

    assert until(is_ended)


def test_a_torn_line_takes_no_other_with_it(tmp_path):
    gate, _, _ = in_the_background(tmp_path, tmp_path / "agent", seconds=0.5)
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / STARTS).write_text("12")
    with pytest.raises(StartFailed):
        gate.open(1)
    assert Starts(tmp_path / "agent").going_on()
    gate.close()


def test_a_start_that_failed_and_left_nothing_is_made_again(tmp_path):
    gate = CommandGate(GateCommands(["false"], ["true"], ["false"]), folder=tmp_path / "agent")
    for _ in range(2):
        with pytest.raises(StartFailed, match="exit 1"):
            gate.open(1)
    assert not (tmp_path / "agent" / STARTS).exists()


def test_a_start_that_ended_in_its_time_is_not_remembered(story):
    story.go.touch()
    story.gate.open(1)
    assert story.noted == []


@pytest.mark.parametrize("spoilt", ["another boot", "another process of its number", "half a line"])
def test_what_is_not_surely_of_a_start_is_left_alone(story, spoilt):
    agent = story.former_agent(0.3)
    assert until(lambda: story.begun.exists() and story.noted)
    agent.wait()
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    _, began, boot, mark = story.noted[0].split()
    lines = {
        "another boot": f"{bystander.pid} {began} {boot[::-1]} {mark}\n",
        "another process of its number": f"{bystander.pid} 1 {boot} {mark}\n",
        "half a line": f"{bystander.pid} 1",
    }
    (story.folder / STARTS).write_text(f"0 1 {boot} {mark}\n1 1 {boot} {mark}\n" + lines[spoilt])
    try:
        story.gate.close()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_where_nothing_can_be_written_down_the_workload_opens_and_closes_all_the_same(story):
    story.folder.write_text("no folder")
    story.go.touch()
    story.gate.open(1)
    assert story.gate.state() is GateState.OPEN
    story.gate.close()
    assert story.gate.state() is GateState.CLOSED
