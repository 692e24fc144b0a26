"""The agent's small parts: files, outbox, bells, user data, the runner, the command line."""

import threading
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spotguard.agent.agent import FILES, Agent
from spotguard.agent.backoff import Backoff
from spotguard.agent.desk import Ports
from spotguard.agent.enrolment import launch_note
from spotguard.agent.files import Document, Journal
from spotguard.agent.quiet import Quiet
from spotguard.agent.runner import Runner
from spotguard.agent.settings import AgentSettings, Intervals, intervals_of
from spotguard.cli.agent_settings import load_agent_file
from spotguard.cli.main import app
from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput, MetadataUnavailable
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import GateState, Mode
from spotguard.host.clock import SystemClock
from spotguard.host.nothing import NoSync
from spotguard.ports.checked_lines import Damaged
from spotguard.ports.metadata import Identity
from spotguard.simulation.machine import Files, SimulatedDisk
from tests.agent.server import CLIENT_TOKEN, FakeServer
from tests.agent.stage import Stage


@pytest.fixture
def disk():
    return SimulatedDisk(Files())


values = st.dictionaries(st.text(), st.integers() | st.text() | st.none())


@given(st.lists(values), st.integers(min_value=0, max_value=400))
def test_a_journal_that_was_cut_anywhere_keeps_its_whole_lines(lines, cut):
    files = Files()
    journal = Journal(SimulatedDisk(files), "journal")
    for line in lines:
        journal.append(line)
    content = files.files.get("journal", b"")
    files.files["journal"] = content[: len(content) - cut]
    found = Journal(SimulatedDisk(files), "journal").read()
    assert found == lines[: len(found)]
    again = Journal(SimulatedDisk(files), "journal")
    again.append({"after": 1})
    assert again.read() == [*found, {"after": 1}]


@given(values, st.data())
def test_a_document_with_a_flipped_bit_is_damaged(value, data):
    files = Files()
    document = Document(SimulatedDisk(files), "document")
    document.write(value)
    assert document.read() == value
    content = bytearray(files.files["document"].removesuffix(b"\n"))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    files.files["document"] = bytes(content)
    try:
        assert document.read() == value  # the checksum's own letters have two cases
    except Damaged:
        assert document.read_or("other") == "other"


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_the_users_own_user_data_is_no_note(text):
    assert launch_note(text) is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"spotguard": 1}', '{"spotguard": {"logical_agent_id": 1}}', "[]"]
)
def test_a_broken_note_is_none(text):
    assert launch_note(text) is None


def test_a_note_is_read():
    note = launch_note(
        '{"spotguard": {"server_url": "u", "logical_agent_id": "web", "enrolment_token": "t"}}'
    )
    assert (note.logical_agent_id, note.enrolment_token) == ("web", "t")


@given(
    st.dictionaries(
        st.sampled_from([*Intervals.__dataclass_fields__]), st.integers() | st.text() | st.floats()
    )
)
def test_the_servers_beat_is_taken_only_when_it_makes_sense(body):
    for seconds in vars(intervals_of(body)).values():
        assert 0 <= seconds <= 3600


def test_a_backoff_doubles_up_to_a_minute():
    backoff, now = Backoff(), parse_time("2026-01-05T00:00:00Z")
    waits = [(backoff.failed(now) - now).total_seconds() for _ in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.worked()
    assert (backoff.failed(now) - now).total_seconds() == 1
    hurried = Backoff(5)
    assert [(hurried.failed(now) - now).total_seconds() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_everything_an_agent_writes_is_known_to_be_discarded_on_a_clone():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    stage.ec2.controls.interrupt(primary.instance_id)
    stage.run(119)
    assert set(primary.files.files) <= set(FILES)


class StillMachine:
    """Metadata and gate of a machine on which nothing happens."""

    def __init__(self):
        self.silent = 2
        self.opened = threading.Event()

    def identity(self):
        if self.silent:
            self.silent -= 1
            raise MetadataUnavailable("not yet")
        return Identity(
            InstanceId("i-0123456789abcdef0"),
            "b",
            "m5.large",
            "us-east-1a",
            "",
            ImageId("ami-1"),
            Mode.SPOT,
            "h",
            "10.0.0.4",
        )

    def user_data(self):
        return ""

    def interruption_notice(self):
        raise ZeroDivisionError  # a fault that no duty expects

    def state(self):
        return GateState.OPEN if self.opened.is_set() else GateState.CLOSED

    def open(self, epoch, before=None):
        if before is not None and not self.opened.is_set():
            before()
        self.opened.set()

    def close(self):
        self.opened.clear()

    def healthy(self):
        return self.opened.is_set()


def test_the_runner_survives_what_a_duty_raises_and_stops_when_told(disk):
    clock, machine = SystemClock(), StillMachine()
    server = FakeServer(clock)
    settings = AgentSettings(logical_agent_id="web", client_token=CLIENT_TOKEN, command_wait_seconds=0)
    ports = Ports(
        server,
        machine,
        machine,
        NoSync(),
        disk,
        None,
        clock,
        state_on_root=lambda: True,
        state_volumes=lambda: ("vol-0aaaaaaaaaaaaaaaa",),
    )
    agent = Agent(ports, settings)
    runner = Runner(agent, clock, Random(1))
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert machine.opened.wait(20)
    until = time.monotonic() + 20
    while not server.reports("heartbeat") and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert server.reports("heartbeat"), "one duty that fails stops no other"
    told = [body for _, what, _, body in server.heard if what == "heartbeat"]
    assert {beat["can_sync"] for beat in told} == {False}, "no state sync is configured here"
    (registered,) = server.instances.values()
    assert registered["can_sync"] is False
    assert registered["state_on_root"] is True is told[0]["state_on_root"]
    assert told[0]["state_volumes"] == ["vol-0aaaaaaaaaaaaaaaa"]
    assert registered["has_traffic_script"] is None is told[0]["has_traffic_script"], "nobody has said"
    runner.stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert machine.opened.is_set(), "the workload is left as it is"


class Hooks:
    """Those of a workload that is frozen."""

    def __init__(self):
        self.frozen = threading.Event()

    def freeze(self):
        self.frozen.set()

    def thaw(self):
        self.frozen.clear()


def test_a_process_that_is_told_to_end_leaves_nothing_frozen(disk):
    """For a server that makes the image the volumes stay frozen for a minute: longer than the process may live."""
    clock, machine, hooks = SystemClock(), StillMachine(), Hooks()
    settings = AgentSettings(logical_agent_id="web", client_token=CLIENT_TOKEN, command_wait_seconds=0)
    ports = Ports(FakeServer(clock), machine, machine, NoSync(), disk, None, clock, hooks)
    agent = Agent(ports, settings)
    runner = Runner(agent, clock, Random(1))
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert machine.opened.wait(20)
    agent.quiet.freeze()
    assert hooks.frozen.is_set()
    runner.stop.set()
    thread.join(20)
    assert not hooks.frozen.is_set()
    assert disk.read(Quiet.NAME) is None


class Watcher:
    """Counts the words that it hears."""

    def __init__(self):
        self.heard, self.words = 0, threading.Semaphore(0)

    def alive(self):
        self.heard += 1
        self.words.release()


class SlowMachine(StillMachine):
    """Its workload takes its time to open."""

    def __init__(self):
        super().__init__()
        self.silent, self.begun, self.let_go = 0, threading.Event(), threading.Event()

    def open(self, epoch, before=None):
        self.begun.set()
        self.let_go.wait(20)
        super().open(epoch, before)


def test_a_start_that_waits_for_the_workload_is_not_ended_by_the_watchdog(disk):
    """After a reboot, or when an agent is restarted while a received state comes into its place."""
    clock, machine, watcher = SystemClock(), SlowMachine(), Watcher()
    settings = AgentSettings(logical_agent_id="web", client_token=CLIENT_TOKEN, command_wait_seconds=0)
    agent = Agent(Ports(FakeServer(clock), machine, machine, NoSync(), disk, None, clock), settings)
    runner = Runner(agent, clock, Random(1), watcher, beat_seconds=0.01)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    assert machine.begun.wait(20)
    while watcher.words.acquire(blocking=False):
        pass
    assert all(watcher.words.acquire(timeout=2) for _ in range(5)), "beaten on while it opens"
    machine.let_go.set()
    assert machine.opened.wait(20)
    runner.stop.set()
    thread.join(20)
    assert not thread.is_alive()


class HangingMachine(StillMachine):
    """The metadata service takes the question and never answers, until it is let go."""

    def __init__(self):
        super().__init__()
        self.silent, self.let_go, self.asked = 0, threading.Event(), threading.Event()

    def interruption_notice(self):
        self.asked.set()
        self.let_go.wait(20)

    def rebalance_recommendation(self):
        return None


def test_the_watchdog_hears_nothing_while_the_signals_hang_and_again_when_they_come_round(disk):
    clock, machine, watcher = SystemClock(), HangingMachine(), Watcher()
    settings = AgentSettings(logical_agent_id="web", client_token=CLIENT_TOKEN, command_wait_seconds=0)
    agent = Agent(Ports(FakeServer(clock), machine, machine, NoSync(), disk, None, clock), settings)
    runner = Runner(agent, clock, Random(1), watcher, beat_seconds=0.01)
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert machine.asked.wait(20)
    threading.Event().wait(0.2)  # twenty beats
    heard = watcher.heard
    assert heard >= 1, "the start, and the round that hangs"
    threading.Event().wait(0.1)
    assert watcher.heard == heard
    while watcher.words.acquire(blocking=False):
        pass
    machine.let_go.set()
    assert watcher.words.acquire(timeout=20)
    runner.stop.set()
    thread.join(20)
    assert not thread.is_alive()


CONFIG = """
server_url = "https://spotguard.example"
logical_agent_id = "web"
unit = "web.service"
"""


def test_settings_come_from_the_file_and_the_environment_goes_before_it(tmp_path, monkeypatch):
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    assert load_agent_file(path).logical_agent_id == "web"
    monkeypatch.setenv("SPOTGUARD_AGENT_LOGICAL_AGENT_ID", "other")
    assert load_agent_file(path).logical_agent_id == "other"


@pytest.mark.parametrize(
    "text",
    ["", 'server_url = "ftp://x"', "nonsense = 1\n" + CONFIG, "= =", CONFIG + 'log_level = "loud"'],
)
def test_wrong_settings_are_told_by_name(tmp_path, text):
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        load_agent_file(path)
    for words in (["run", "--config", str(path)], ["--config", str(path), "run"], ["--config", str(path)]):
        result = CliRunner().invoke(app, ["agent", *words])
        assert result.exit_code == 2
        (line,) = result.output.strip().splitlines()
        assert line.startswith(f"spotguard: {path}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "server_url is missing: address of the API"),
        (CONFIG + "nonsense = 1\n", "there is no setting nonsense"),
        (CONFIG + "health_port = 70000\n", "health_port: expected `int` <= 65535"),
        (CONFIG + "start = [1]\n", "start[0]: expected `str`, got `int`"),
    ],
)
def test_a_wrong_setting_is_told_in_words(tmp_path, text, told):
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as error:
        load_agent_file(path)
    assert str(error.value) == f"{path}: {told}"


def test_a_file_that_is_not_text_or_not_there_is_told_once(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(bytes([0xFF, 0xFE, 0x00]))
    for path, told in ((binary, "is not TOML"), (tmp_path / "absent.toml", "No such file")):
        with pytest.raises(InvalidInput, match=told) as error:
            load_agent_file(path)
        assert str(error.value).count(str(path)) == 1


def test_a_file_for_the_agent_says_nothing_to_other_commands(tmp_path):
    result = CliRunner().invoke(app, ["agent", "--config", str(tmp_path / "x"), "uninstall"])
    assert (result.exit_code, "belongs to the agent" in result.output) == (2, True)


def test_a_workload_must_be_named(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG.replace("unit", "state_path"))
    result = CliRunner().invoke(app, ["agent", "--config", str(path)])
    assert result.exit_code == 2
    assert "unit" in result.output


def test_a_workload_is_named_once(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG + 'start = ["/usr/bin/web"]\n')
    result = CliRunner().invoke(app, ["agent", "--config", str(path)])
    assert (result.exit_code, "two workloads" in result.output) == (2, True)


def test_a_variable_that_is_wrong_is_named(tmp_path, monkeypatch):
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("SPOTGUARD_AGENT_QUIESCE", "fsfreeze")
    with pytest.raises(InvalidInput, match=r"^SPOTGUARD_AGENT_QUIESCE is not a JSON list"):
        load_agent_file(path)
    monkeypatch.setenv("SPOTGUARD_AGENT_QUIESCE", '["fsfreeze"]')
    monkeypatch.setenv("SPOTGUARD_AGENT_HEALTH_PORT", "eighty")
    with pytest.raises(InvalidInput, match="SPOTGUARD_AGENT_HEALTH_PORT"):
        load_agent_file(path)
