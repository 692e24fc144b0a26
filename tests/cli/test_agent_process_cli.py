"""The agent as its settings put it together: what the parts hear of each other."""

import os
import shutil
import signal
import subprocess
import sys

import msgspec
import pytest

from spotguard.cli.agent_process import RUNTIME, agent_of, require_good, settings_of
from spotguard.cli.agent_settings import agent_file_of
from spotguard.domain.errors import InvalidInput, SyncFailed
from spotguard.domain.instances import GateState
from spotguard.host.disk import alone_on
from spotguard.host.rsync import RsyncSync
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import STARTS, SyncTarget
from tests.host.copying import whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

STANDBY = SyncTarget("i-0123456789abcdef0", "standby")


def settings(folder, *, running):
    """Of a workload whose state is `folder`/state, and whose unit is a file that is there or not."""
    (folder / "state").mkdir()
    (folder / "state" / "a").write_text("acknowledged")
    if running:
        (folder / "running").touch()
    lines = {
        "server_url": "http://127.0.0.1:1",
        "logical_agent_id": "shop",
        "state_folder": str(folder / "agent"),
        "state_path": str(folder / "state"),
        "inbox_path": str(folder / "inbox"),
        "sync_destination": str(folder / "{address}-inbox"),
    }
    told = "".join(f'{name} = "{value}"\n' for name, value in lines.items())
    commands = f'start = ["true"]\nstop = ["true"]\nstatus = ["test", "-e", "{folder}/running"]\n'
    return agent_file_of(told + commands, "agent.toml")


def test_a_pass_of_an_agent_whose_sync_memory_was_lost_is_of_the_epoch_that_it_holds(tmp_path):
    file = settings(tmp_path, running=True)
    with agent_of(file, settings_of(file)) as agent:
        agent.desk.primacy.told(3)
        whole_pass(agent.desk.ports.sync, STANDBY)
    standby = RsyncSync(tmp_path / "theirs", tmp_path / "standby-inbox", RsyncTransport("unused"))
    assert (standby.adopt(4) or "").startswith("000000003-")
    assert (tmp_path / "theirs" / "a").read_text() == "acknowledged"


def test_no_pass_begins_while_the_workload_of_an_epoch_has_not_opened(tmp_path):
    file = settings(tmp_path, running=False)
    with agent_of(file, settings_of(file)) as agent:
        agent.desk.primacy.told(3)
        with pytest.raises(SyncFailed, match="holds epoch 3"):
            agent.desk.ports.sync.push(STANDBY)


def test_a_start_that_is_under_way_is_written_down_in_the_agents_folder(tmp_path):
    """Else nobody knows of it who comes after this agent."""
    file = settings(tmp_path, running=False)
    noted = tmp_path / "agent" / STARTS
    start = ["sh", "-c", f"until [ -s {noted} ]; do sleep 0.02; done; touch {tmp_path}/running"]
    with agent_of(msgspec.structs.replace(file, start=start), settings_of(file)) as agent:
        agent.desk.ports.gate.open(1)
        assert agent.desk.ports.gate.state() is GateState.OPEN


def test_nothing_is_pushed_by_commands_before_the_received_state_is_in_its_place(tmp_path):
    """The gate opens for as long as the adoption takes, and the holder's other duties do not wait for it."""
    told = "".join(f'{name} = "{value}"\n' for name, value in WHERE.items())
    told += f'state_folder = "{tmp_path}"\nstart = ["true"]\nstop = ["true"]\nstatus = ["false"]\n'
    told += "".join(f'sync_{name} = ["true"]\n' for name in ("position", "push", "received", "adopt"))
    file = agent_file_of(told, "agent.toml")
    with agent_of(file, settings_of(file)) as agent:
        agent.desk.primacy.learn(2)
        agent.desk.primacy.told(3)
        with pytest.raises(SyncFailed, match="opened under epoch 3"):
            agent.desk.ports.sync.push(STANDBY)


WHERE = {"server_url": "http://127.0.0.1:1", "logical_agent_id": "shop"}
HOLDS = """
import signal, sys
from pathlib import Path
from spotguard.host.disk import alone_in
with alone_in(Path(sys.argv[1])):
    print("alone", flush=True)
    signal.pause()
"""


def test_a_second_agent_does_not_start_and_the_death_of_the_first_lets_the_next_one(tmp_path):
    """By hand beside the service, or of two units: it would not know what the other has let go of."""
    file = settings(tmp_path, running=True)
    command = [sys.executable, "-c", HOLDS, str(file.state_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "alone\n"
        second = agent_of(file, settings_of(file))
        with pytest.raises(InvalidInput, match="another agent runs here"):
            second.__enter__()
        first.send_signal(signal.SIGKILL)
    with agent_of(file, settings_of(file)) as agent:
        assert agent.desk.primacy.held is None


def test_nor_does_one_with_a_state_folder_of_its_own_beside_another_of_the_same_instance(tmp_path):
    runtime, ours = tmp_path / "run", "http://127.0.0.1:1338"
    with alone_on(ours, runtime):
        with alone_on("http://127.0.0.1:1339", runtime):
            pass  # another instance's, as in a lab of many on one machine
        with pytest.raises(InvalidInput, match="another agent runs here"), alone_on(ours, runtime):
            pytest.fail("there are two")
    with alone_on(ours, runtime):
        pass


def test_where_no_lock_can_be_kept_the_agent_runs_all_the_same(tmp_path):
    (tmp_path / "spotguard").write_text("not a folder")
    with alone_on("http://127.0.0.1:1338", tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's agents are told apart so")
def test_the_agents_own_process_does_not_start_beside_another(tmp_path):
    metadata = f"http://127.0.0.1:1/{tmp_path.name}-{os.getpid()}"
    file = tmp_path / "agent.toml"
    told = {**WHERE, "metadata_url": metadata, "state_folder": str(tmp_path / "second")}
    lines = "".join(f'{name} = "{value}"\n' for name, value in told.items())
    file.write_text(lines + 'start = ["true"]\nstop = ["true"]\nstatus = ["false"]\n')
    command = [sys.executable, "-m", "spotguard.cli.agent_process", str(file)]
    with alone_on(metadata, RUNTIME):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "another agent runs here" in ended.stderr
    assert not (tmp_path / "second").exists(), "it has begun nothing"


def test_what_an_agent_runs_does_not_keep_the_next_agent_from_starting(tmp_path):
    file = settings(tmp_path, running=True)
    with agent_of(file, settings_of(file)):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with agent_of(file, settings_of(file)) as agent:
            assert agent.desk.primacy.held is None
    finally:
        child.kill()
        child.wait()


def test_an_agent_does_not_start_with_a_state_path_that_is_a_link(tmp_path):
    file = settings(tmp_path, running=False)
    require_good(file)
    (tmp_path / "state").rename(tmp_path / "disk")
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    with pytest.raises(InvalidInput, match=f"is a symbolic link: name the folder itself, {tmp_path}/disk"):
        require_good(file)
