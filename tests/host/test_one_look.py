"""One look that cannot be told, while a standby opens, passes over neither the received state nor the mount."""

import errno
from datetime import UTC, datetime

import pytest

from spotguard.agent.primacy import Primacy
from spotguard.agent.serving import Serving
from spotguard.domain.errors import GateFailed
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import Mode
from spotguard.host.adopting import AdoptingGate
from spotguard.host.disk import FolderDisk
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.rsync import RsyncSync
from spotguard.host.state_mount import MountedGate, StateMount
from spotguard.host.systemd_gate import SystemdGate
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from spotguard.ports.metadata import Identity
from spotguard.ports.workload import SyncTarget
from tests.host.copying import settle, whole_pass

ME = Identity(
    InstanceId("i-b"),
    "boot",
    "t3.medium",
    "ap-south-1a",
    "aps1-az1",
    ImageId("ami-1"),
    Mode.SPOT,
    "h",
    "10.0.0.1",
)
COUNT = 'n=$(cat {d}/looks 2>/dev/null || echo 0); n=$((n+1)); echo $n > {d}/looks; test "$n" = "{bad}"'
STARTS = 'echo "$(cat {state}/balance)" >> {d}/opened_on; touch {d}/runs'


class WallClock:
    def now(self):
        return datetime.now(UTC)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


def command_gate(state, folder, bad):
    names = {"d": folder, "state": state, "bad": bad}
    return CommandGate(
        GateCommands(
            start=script(folder / "start", STARTS.format(**names)),
            stop=script(folder / "stop", "rm -f {d}/runs".format(**names)),
            status=script(folder / "status", (COUNT + " && kill -9 $$\ntest -e {d}/runs").format(**names)),
        ),
        folder=folder,
    )


def unit_gate(state, folder, bad):
    names = {"d": folder, "state": state, "bad": bad}
    text = (
        'case "$1" in\n'
        f"start) {STARTS} ;;\n"
        "stop) rm -f {d}/runs ;;\n"
        f"show) {COUNT} && exit 1\n"
        'test -e {d}/runs && echo "ActiveState=active" || echo "ActiveState=inactive"\n'
        'echo "Job=0"; echo "Id=web.service" ;;\n'
        "esac"
    )
    return SystemdGate("web.service", systemctl=script(folder / "systemctl", text.format(**names))[0])


class Standby:
    """It has received a whole pass, and holds an older state of the image."""

    def __init__(self, tmp_path, gate_of, bad):
        primary, self.state, self.folder = tmp_path / "a", tmp_path / "b", tmp_path / "agent"
        for folder, content in ((primary, "acknowledged"), (self.state, "of the image")):
            folder.mkdir()
            (folder / "balance").write_text(content)
        self.folder.mkdir()
        settle()
        transport = RsyncTransport(str(tmp_path / "{address}-inbox"))
        serving = Term(held=lambda: 1, runs=lambda: False, instance=lambda: "i-a", agent=lambda: "web")
        sender = RsyncSync(primary, tmp_path / "a-inbox", transport, serving)
        sender.adopt(1)
        whole_pass(sender, SyncTarget("i-b", "b"))
        gate, mount = gate_of(self.state, self.folder, bad), self.mount()
        term = Term(
            held=lambda: self.primacy.held,
            runs=gate.runs,
            instance=lambda: "i-b",
            has_opened=lambda: self.primacy.has_opened,
            agent=lambda: "web",
        )
        sync, clock = RsyncSync(self.state, tmp_path / "b-inbox", transport, term, mount), WallClock()
        whole = MountedGate(AdoptingGate(gate, sync.adopt), mount, sync.arrives)
        self.primacy = Primacy(FolderDisk(self.folder), whole, clock, 5.0, Serving(clock), lambda: None)
        self.primacy.load(ME)
        self.primacy.learn(1)
        assert self.primacy.told(2)

    def mount(self):
        return StateMount(self.state, self.folder)

    def beats(self, times=6):
        for _ in range(times):
            try:
                self.primacy.ensure_open()
            except GateFailed:
                continue

    def opened_on(self):
        told = self.folder / "opened_on"
        return told.read_text().splitlines() if told.exists() else []


@pytest.mark.parametrize("gate_of", [command_gate, unit_gate])
@pytest.mark.parametrize("bad", range(8))
def test_the_workload_starts_once_and_on_the_received_state(tmp_path, gate_of, bad):
    standby = Standby(tmp_path, gate_of, bad)
    standby.beats()
    assert standby.opened_on() == ["acknowledged"]
    assert standby.primacy.has_opened


class Unmounted(Standby):
    def mount(self):
        return Nowhere(self.state, self.folder)


class Nowhere(StateMount):
    def require_to_open(self, arrives):
        raise GateFailed("nothing is mounted where the state lies")


@pytest.mark.parametrize("bad", range(8))
def test_nothing_is_opened_where_the_state_is_not_mounted(tmp_path, bad):
    standby = Unmounted(tmp_path, command_gate, bad)
    standby.beats()
    assert (standby.opened_on(), standby.primacy.has_opened) == ([], False)


def test_what_was_neither_started_nor_seen_to_run_has_not_opened(tmp_path):
    standby = Standby(tmp_path, command_gate, bad=0)
    script(standby.folder / "status", "exit 127")
    standby.beats()
    assert (standby.opened_on(), standby.primacy.has_opened) == ([], False)


class Noting(StateMount):
    def opened(self):
        (self._folder / "noted").touch()


def test_where_the_state_lies_is_not_learnt_from_a_workload_that_a_person_has_started(tmp_path):
    """Nothing was opened before: the received state could not be put in its place."""

    def refuses(epoch):
        raise OSError(errno.EIO, "Input/output error")

    gate = command_gate(tmp_path, tmp_path, bad=9)
    whole = MountedGate(AdoptingGate(gate, refuses), Noting(tmp_path, tmp_path), lambda epoch: False)
    with pytest.raises(GateFailed, match="could not be put in place"):
        whole.open(2)
    (tmp_path / "runs").touch()
    whole.open(2)
    assert not (tmp_path / "noted").exists()
