"""A machine whose disks and mounts the story moves, and the guard of the state on it."""

from spotguard.domain.instances import GateState
from spotguard.host.adopting import AdoptingGate
from spotguard.host.commands import Ran
from spotguard.host.mounts import Mounts
from spotguard.host.rsync import RsyncSync
from spotguard.host.state_mount import MountedGate, StateMount
from spotguard.host.transport import RsyncTransport
from tests.host.roots import Root

LIVE, DEAD = "vol0aaaaaaaaaaaaaaaa", "vol0bbbbbbbbbbbbbbbb"
ROOT_LINE = "22 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n"
SRV_LINE = "40 22 {number} / {point} rw,noatime shared:1 - ext4 {source} rw\n"
FSTAB = "UUID=1 / ext4 defaults 0 1\nUUID=2 {point} ext4 defaults,nofail 0 2\n"


class Machine:
    """A root whose mounts the story moves; `mount` succeeds where a disk is `plugged`. The state is under `srv`."""

    def __init__(self, tmp_path):
        self.root, self.srv, self.agent = Root(tmp_path / "machine"), tmp_path / "srv", tmp_path / "agent"
        self.state, self.inbox = self.srv / "web", self.srv / "inbox"
        self.names, self.plugged, self.asked = {}, None, []
        self.disk("nvme0n1", "259:0", "vol0cccccccccccccccc")
        self.partition("nvme0n1", "nvme0n1p1", "259:1")
        self.disk("nvme1n1", "259:2", LIVE)
        self.disk("nvme2n1", "259:3", DEAD, "/dev/sdy")
        self.fstab()
        self.unmount()

    def disk(self, name, number, serial, attached=None):
        self.root.write(f"sys/devices/pci/{name}/device/serial", f"{serial}\n")
        self.root.link(f"sys/dev/block/{number}", f"../../devices/pci/{name}")
        self.names[name] = attached

    def partition(self, disk, name, number):
        self.root.write(f"sys/devices/pci/{disk}/{name}/partition", "1\n")
        self.root.link(f"sys/dev/block/{number}", f"../../devices/pci/{disk}/{name}")

    def fstab(self, text=FSTAB):
        self.root.write("etc/fstab", text.format(point=str(self.srv).replace(" ", "\\040")))

    def mount(self, number="259:2", source="/dev/nvme1n1"):
        told = SRV_LINE.format(number=number, point=str(self.srv).replace(" ", "\\040"), source=source)
        self.root.write("proc/self/mountinfo", ROOT_LINE + told)
        self.state.mkdir(parents=True, exist_ok=True)

    def unmount(self):
        self.root.write("proc/self/mountinfo", ROOT_LINE)

    def run(self, command, _seconds):
        self.asked.append(command)
        if self.plugged is None:
            return Ran(32, "mount: can't find UUID=2.")
        self.mount(*self.plugged)
        return Ran(0, "")

    @property
    def mounts(self):
        return Mounts(self.root.path, lambda device: self.names[device.name])

    def guard(self):
        """As a new process has it."""
        return StateMount(self.state, self.agent, self.mounts, self.run)

    def sync(self, tmp_path):
        transport = RsyncTransport(str(tmp_path / "{address}-inbox"))
        return RsyncSync(self.state, self.inbox, transport, mount=self.guard())

    def gate(self, sync):
        self.workload = Workload()
        return MountedGate(AdoptingGate(self.workload, sync.adopt), self.guard(), sync.arrives)


class Workload:
    """Opens whenever it is told."""

    def __init__(self):
        self.epochs, self.starts, self.stops = [], [], []  # with what else it does when it starts and stops

    def state(self):
        return GateState.OPEN if self.epochs else GateState.CLOSED

    def open(self, epoch, before=None):
        if before is not None and not self.epochs:
            before()
        self.epochs.append(epoch)
        for does in self.starts:
            does()

    def close(self):
        self.epochs.clear()
        for does in self.stops:
            does()

    def healthy(self):
        return bool(self.epochs)
