"""Two hosts on one machine: network namespaces with a cable between them, and a standby's door in one of them."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.rsync import RsyncSync
from spotguard.host.sync_pair import SSH_CONFIG, Pair, make
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget

PORT = 8722
NEEDED = {"ip": "iproute2", "rsync": "rsync", "ssh": "openssh-client", "sshd": "openssh-server"}
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing():
    """Why there are no two hosts here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = sorted({package for name, package in NEEDED.items() if shutil.which(name, path=_PATH) is None})
    if absent:
        return f"not installed: {' '.join(absent)} (apt-get install {' '.join(absent)})"
    if not _may_unshare():
        return "network namespaces are not allowed here: run it with the capability CAP_SYS_ADMIN"
    return None


def _may_unshare():
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return tried.returncode == 0


needs_namespaces = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def until(happens, seconds=30.0):
    waiting = threading.Event()
    for _ in range(int(seconds / 0.05)):
        found = happens()
        if found:
            return found
        waiting.wait(0.05)
    raise AssertionError(f"not within {seconds:g} s")


@dataclass
class Host:
    """A namespace, its address, its cable's end on the bridge, and its folder: `state` and `inbox` lie in it."""

    name: str
    address: str
    plug: str
    folder: Path
    door: subprocess.Popen | None = None

    @property
    def state(self):
        return self.folder / "state"

    @property
    def inbox(self):
        return self.folder / "inbox"

    @property
    def target(self):
        return SyncTarget(f"i-{self.name}", self.address)

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def sync(self, *options):
        """What its agent has: rsync over ssh, run within the namespace."""
        program = ("ip", "netns", "exec", self.name, "rsync", *options)
        config = self.folder / "keys" / SSH_CONFIG
        return RsyncSync(self.state, self.inbox, RsyncTransport("root@{address}:/", config, program))

    def link(self, state):
        ip("-n", self.name, "link", "set", "cable", state)

    def pids(self):
        told = subprocess.run(
            ["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True
        ).stdout
        return [int(pid) for pid in told.split()]

    def kill_rsync(self):
        """Every rsync in the namespace; how many there were."""
        found = [pid for pid in self.pids() if _name(pid) == "rsync"]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def open_door(self):
        Path("/run/sshd").mkdir(exist_ok=True)
        self.inbox.mkdir(exist_ok=True)
        sshd = shutil.which("sshd", path=_PATH)
        config = self.folder / "keys" / "sshd_config"
        with (self.folder / "door.log").open("wb") as log:
            self.door = subprocess.Popen(
                # else the shell reads what is in the home of whoever runs the tests, and waits for what that waits for
                self.command(sshd, "-D", "-e", "-f", str(config), "-o", f"SetEnv HOME={self.folder}"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        until(lambda: b"listening on" in (self.folder / "door.log").read_bytes())


@dataclass
class Hosts:
    """One folder of keys, as from one image; hosts join it one after the other."""

    folder: Path
    hosts: list = field(default_factory=list)

    def host(self, *, door=True):
        number = len(self.hosts) + 1
        name, plug = f"sg{os.getpid()}-{number}", f"sg{os.getpid()}v{number}"
        host = Host(name, f"10.99.0.{number}", plug, Path(tempfile.mkdtemp(dir=self.folder)))
        self.hosts.append(host)
        make(Pair(host.folder / "keys", host.inbox, PORT))
        if number > 1:
            self._same_keys(host)
        ip("netns", "add", host.name)
        ip("link", "add", host.plug, "type", "veth", "peer", "name", "cable", "netns", host.name)
        ip("link", "set", host.plug, "master", self.bridge, "up")
        ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "cable")
        ip("-n", host.name, "link", "set", "lo", "up")
        host.link("up")
        if door:
            host.open_door()
        return host

    def _same_keys(self, host):
        for name in ("key", "key.pub", "host_key", "host_key.pub"):
            shutil.copy2(self.hosts[0].folder / "keys" / name, host.folder / "keys" / name)
        make(Pair(host.folder / "keys", host.inbox, PORT))

    @property
    def bridge(self):
        return f"sg{os.getpid()}b"


@contextlib.contextmanager
def hosts():
    """sshd wants folders that nobody else may write to, all the way up: not those of /tmp."""
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix=".spotguard-test-") as folder:
        all_of_them = Hosts(Path(folder))
        ip("link", "add", all_of_them.bridge, "type", "bridge")
        ip("link", "set", all_of_them.bridge, "up")
        try:
            yield all_of_them
        finally:
            for host in all_of_them.hosts:
                if host.door is not None:
                    host.door.terminate()
                    host.door.wait(10)
                for pid in host.pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                ip("link", "delete", host.plug)  # a deleted namespace's cable goes some time later
                ip("netns", "delete", host.name)
            ip("link", "delete", all_of_them.bridge)


def whole_pass(sync, target, seconds=60.0):
    return until(lambda: sync.push(target), seconds)


def broken_pass(sync, target, seconds=60.0):
    """What it says as it breaks."""
    said = []

    def breaks():
        try:
            sync.push(target)
        except SyncFailed as error:
            said.append(str(error))
        return said

    return until(breaks, seconds)[0]


def _name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
