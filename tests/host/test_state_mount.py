"""A state that is not mounted, or another one in its place: nothing of it is served or sent."""

import shutil
import subprocess
from pathlib import Path

import pytest

from spotguard.domain.errors import GateFailed, StateMissing
from spotguard.host.mounts import BelowIt, Mounts
from spotguard.host.nvme import attached_as, name_in
from spotguard.host.rsync import RsyncSync
from spotguard.host.state_mount import StateMount
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import STATE_MOUNT
from tests.host.copying import TARGET, settle, whole_pass
from tests.host.mounted import FSTAB, Machine


@pytest.fixture(params=["plain", "with blanks"])
def machine(tmp_path, request):
    return Machine(tmp_path / request.param)


needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@needs_rsync
def test_an_empty_mount_point_does_not_prune_what_the_standby_has(machine, tmp_path):
    machine.mount()
    (machine.state / "a").write_text("acknowledged")
    settle()
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(1)
    whole_pass(sync)

    machine.unmount()
    (machine.state / "a").unlink()  # what lies under the mount point
    with pytest.raises(StateMissing, match=r"nothing is mounted at .*: mount it"):
        whole_pass(machine.sync(tmp_path))
    standby = RsyncSync(tmp_path / "theirs", tmp_path / "standby-inbox", RsyncTransport("unused"))
    standby.adopt(2)
    assert (tmp_path / "theirs" / "a").read_text() == "acknowledged"


@needs_rsync
def test_unmounted_in_the_middle_of_a_pass_it_is_never_marked_whole(machine, tmp_path):
    machine.mount()
    settle()

    class Unmounting(RsyncTransport):
        def start(self, arguments, *streams):
            if "--stats" in arguments:
                machine.unmount()
            return super().start(arguments, *streams)

    transport = Unmounting(str(tmp_path / "{address}-inbox"))
    sync = RsyncSync(machine.state, machine.inbox, transport, mount=machine.guard())
    machine.gate(sync).open(1)
    with pytest.raises(StateMissing):
        whole_pass(sync)
    assert not list((tmp_path / "standby-inbox" / "marks").glob("*.whole"))


@needs_rsync
def test_a_mount_that_fstab_does_not_name_is_remembered(machine, tmp_path):
    machine.fstab("")
    machine.mount()
    settle()
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(1)
    machine.unmount()
    with pytest.raises(StateMissing):
        sync.push(TARGET)
    with pytest.raises(GateFailed, match=r"remove .*state-mount"):
        machine.gate(sync).open(2)
    (machine.agent / STATE_MOUNT).unlink()  # its user says that it is meant
    machine.gate(sync).open(2)
    assert machine.workload.epochs == [2]


def test_whether_it_lies_on_the_disk_of_the_boot_is_said_only_when_it_can_be_seen(machine, tmp_path):
    assert machine.guard().is_on_root() is None, "what fstab promises is not mounted"
    machine.mount()
    assert machine.guard().is_on_root() is False
    machine.partition("nvme0n1", "nvme0n1p2", "259:4")
    machine.mount("259:4", "/dev/nvme0n1p2")
    assert machine.guard().is_on_root() is True, "another partition of the same disk stays with it"
    machine.unmount()
    machine.fstab("")
    assert machine.guard().is_on_root() is True
    machine.mount()
    machine.gate(machine.sync(tmp_path)).open(1)
    machine.unmount()
    assert machine.guard().is_on_root() is None, "it was served from a file system that is not there now"


def test_on_which_volumes_it_lies_is_said_only_when_all_of_them_can_be_seen(machine, tmp_path):
    assert machine.guard().carried_by() is None, "what fstab promises is not mounted"
    machine.mount()
    assert machine.guard().carried_by() == ("vol-0aaaaaaaaaaaaaaaa",)
    inside = f"{machine.srv}/web/part".replace(" ", "\\040")
    told = (machine.root.path / "proc/self/mountinfo").read_text()
    machine.root.write("proc/self/mountinfo", told + f"41 40 259:3 / {inside} rw - ext4 /dev/nvme2n1 rw\n")
    assert machine.guard().carried_by() == ("vol-0aaaaaaaaaaaaaaaa", "vol-0bbbbbbbbbbbbbbbb"), (
        "with its parts"
    )
    machine.mount()
    machine.gate(machine.sync(tmp_path)).open(1)
    machine.unmount()
    assert machine.guard().carried_by() is None, "it was served from a file system that is not there now"
    machine.disk("nvme3n1", "259:5", "AWS0123456789ABCDEF")
    machine.mount("259:5", "/dev/nvme3n1")
    assert machine.guard().carried_by() == (), "a disk of the instance itself"


def test_an_empty_state_is_one_with_nothing_but_what_every_file_system_has(machine):
    assert machine.guard().seen().is_empty, "there is no folder"
    machine.mount()
    (machine.state / "lost+found").mkdir()
    seen = machine.guard().seen()
    assert (seen.path, seen.mounted_at, seen.is_empty) == (str(machine.state), str(machine.srv), True)
    (machine.state / "a").write_text("acknowledged")
    assert not machine.guard().seen().is_empty


def test_the_gate_opens_on_no_empty_mount_point(machine, tmp_path):
    gate = machine.gate(machine.sync(tmp_path))
    with pytest.raises(GateFailed, match=r"nothing is mounted .*can't find UUID=2"):
        gate.open(3)
    assert machine.workload.epochs == []


def test_a_volume_that_came_after_the_boot_is_mounted_before_the_gate_opens(machine, tmp_path):
    machine.plugged = ("259:2", "/dev/nvme1n1")
    machine.gate(machine.sync(tmp_path)).open(3)
    assert machine.workload.epochs == [3]
    assert machine.asked == [("mount", str(machine.srv))]


def test_what_the_workload_mounts_itself_is_left_to_it(machine, tmp_path):
    machine.fstab(FSTAB.replace("nofail", "noauto"))
    machine.gate(machine.sync(tmp_path)).open(1)
    assert (machine.workload.epochs, machine.asked) == ([1], [])


@needs_rsync
@pytest.mark.parametrize("unmounts", [True, False], ids=["unmounts when it stops", "leaves it mounted"])
@pytest.mark.parametrize("line", ["noauto", None], ids=["noauto", "no line"])
def test_a_workload_that_mounts_its_own_state_is_sent_and_opens_again(machine, tmp_path, unmounts, line):
    machine.fstab("" if line is None else FSTAB.replace("nofail", line))
    sync = machine.sync(tmp_path)
    gate = machine.gate(sync)
    machine.workload.starts = [machine.mount]
    machine.workload.stops = [machine.unmount] if unmounts else []
    gate.open(1)
    settle()
    assert whole_pass(sync)
    gate.close()
    gate.open(1)  # a move that came to nothing
    assert machine.workload.epochs == [1]
    assert whole_pass(sync)
    gate.close()
    machine.unmount()  # a reboot
    gate.open(1)
    assert machine.workload.epochs == [1]

    gate.close()
    machine.mount("259:3", "/dev/nvme2n1")
    with pytest.raises(GateFailed, match="was served from"):
        gate.open(1)


@pytest.mark.parametrize("line", ["nofail", "noauto", None])
def test_a_stop_that_unmounts_a_state_that_lay_there_before_may_be_followed_by_a_start(
    machine, tmp_path, line
):
    """As the stop has to where the volume moves (`host.gate`)."""
    machine.fstab("" if line is None else FSTAB.replace("nofail", line))
    machine.plugged = ("259:2", "/dev/nvme1n1") if line == "nofail" else None
    machine.mount()  # by hand, or at boot
    gate = machine.gate(machine.sync(tmp_path))
    machine.workload.starts, machine.workload.stops = [machine.mount], [machine.unmount]
    for _ in range(3):
        gate.open(1)
        assert machine.workload.epochs == [1]
        gate.close()


@needs_rsync
def test_a_workload_that_fails_to_mount_its_own_state_sends_no_emptiness(machine, tmp_path):
    machine.fstab(FSTAB.replace("nofail", "noauto"))
    sync = machine.sync(tmp_path)
    gate = machine.gate(sync)
    machine.workload.starts, machine.workload.stops = [machine.mount], [machine.unmount]
    gate.open(1)
    settle()
    whole_pass(sync)
    gate.close()
    machine.workload.starts = []
    gate.open(1)
    with pytest.raises(StateMissing, match="nothing is mounted"):
        sync.push(TARGET)


@needs_rsync
@pytest.mark.parametrize("is_stopped_by_us", [True, False])
def test_a_workload_found_running_that_mounts_its_own_state_opens_again(machine, tmp_path, is_stopped_by_us):
    machine.fstab(FSTAB.replace("nofail", "noauto"))
    machine.mount()
    settle()
    sync = machine.sync(tmp_path)
    gate = machine.gate(sync)
    machine.workload.epochs, machine.workload.stops = [1], [machine.unmount]
    whole_pass(sync)
    if is_stopped_by_us:
        gate.close()
        assert machine.guard()._kept().opened is not None
    else:  # a reboot
        machine.workload.close()
    machine.workload.starts = [machine.mount]
    gate.open(1)
    assert machine.workload.epochs == [1]
    settle()
    assert whole_pass(sync)


def test_what_is_remembered_of_another_path_is_nothing(machine, tmp_path):
    machine.mount()
    machine.gate(machine.sync(tmp_path)).open(1)
    machine.fstab("")
    machine.unmount()
    machine.state = tmp_path / "elsewhere"  # its user has moved it, and changed the setting
    machine.state.mkdir()
    machine.gate(machine.sync(tmp_path)).open(1)
    assert machine.workload.epochs == [1]


@needs_rsync
def test_a_standby_without_the_primarys_disk_serves_from_what_it_received(machine, tmp_path):
    """Its image knows the line of fstab; the disk it never had. The pass lies in the file system of the inbox."""
    source = tmp_path / "primary"
    source.mkdir()
    (source / "a").write_text("received")
    settle()
    primary = RsyncSync(source, tmp_path / "primary-inbox", RsyncTransport(str(machine.inbox)))
    primary.adopt(1)
    whole_pass(primary)
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(2)
    assert (machine.state / "a").read_text() == "received"
    settle()
    assert whole_pass(sync), "its state is where it was opened"
    machine.gate(sync).open(2)  # after a reboot
    assert machine.workload.epochs == [2]


def test_a_dead_holders_disk_in_the_place_of_the_live_one_is_not_served(machine, tmp_path):
    """It has the same UUID, and the look was not over when the new primary rebooted."""
    machine.mount()
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(2)
    machine.mount("259:3", "/dev/nvme2n1")
    with pytest.raises(
        GateFailed, match="lies on vol-0bbbbbbbbbbbbbbbb, and was served from vol-0aaaaaaaaaaaaaaaa"
    ):
        machine.gate(sync).open(2)
    with pytest.raises(StateMissing, match="no pass is sent"):
        sync.push(TARGET)
    machine.mount()
    machine.gate(sync).open(2)
    assert machine.workload.epochs == [2]


def test_without_a_memory_a_disk_attached_for_a_look_is_known_by_its_name(machine, tmp_path):
    """The machine has booted from the dead one's root: what is remembered there is another instance's, and gone."""
    machine.mount("259:3", "/dev/nvme2n1")
    with pytest.raises(GateFailed, match="attached as /dev/sdy"):
        machine.gate(machine.sync(tmp_path)).open(2)


def test_a_memory_that_does_not_read_is_none(machine, tmp_path):
    machine.agent.mkdir()
    (machine.agent / STATE_MOUNT).write_text("{")
    machine.mount()
    machine.gate(machine.sync(tmp_path)).open(2)
    assert machine.workload.epochs == [2]


def test_the_disks_below_a_logical_volume_are_those_of_the_state(machine):
    machine.root.write("sys/devices/virtual/dm-0/slaves/.keep").unlink()
    for name in ("nvme1n1", "nvme2n1"):
        machine.root.link(f"sys/devices/virtual/dm-0/slaves/{name}", f"../../../pci/{name}")
    machine.root.link("sys/dev/block/254:0", "../../devices/virtual/dm-0")
    machine.mount("254:0", "/dev/mapper/vg-srv")
    assert machine.mounts.disks_of(str(machine.srv)) == (
        BelowIt("nvme1n1", "vol-0aaaaaaaaaaaaaaaa", None),
        BelowIt("nvme2n1", "vol-0bbbbbbbbbbbbbbbb", "sdy"),
    )


def test_a_partition_is_of_its_disk_and_a_number_of_no_device_is_looked_up_by_its_source(machine):
    assert [disk.name for disk in machine.mounts.disks_of("/")] == ["nvme0n1"]
    machine.root.write("dev/nvme1n1")
    machine.root.link("sys/class/block/nvme1n1", "../../devices/pci/nvme1n1")
    machine.mount("0:41", "/dev/nvme1n1")
    assert [disk.volume_id for disk in machine.mounts.disks_of(str(machine.srv))] == ["vol-0aaaaaaaaaaaaaaaa"]
    machine.mount("0:42", "tmpfs")
    assert machine.mounts.disks_of(str(machine.srv)) == ()


@pytest.mark.parametrize(
    ("model", "name", "told"),
    [
        (b"Amazon Elastic Block Store", b"/dev/sdy", "/dev/sdy"),
        (b"Amazon Elastic Block Store", b"sdf \0", "sdf"),
        (b"Amazon Elastic Block Store", b"", None),
        (b"Amazon EC2 NVMe Instance Storage", b"ephemeral0", None),
    ],
)
def test_what_a_controller_says_of_itself(model, name, told):
    identity = bytearray(4096)
    identity[24 : 24 + len(model)] = model
    identity[3072 : 3072 + len(name)] = name
    assert name_in(bytes(identity)) == told


def test_what_is_no_nvme_disk_has_no_such_name(tmp_path):
    (tmp_path / "file").touch()
    assert attached_as(tmp_path / "file") is None
    assert attached_as(tmp_path / "none") is None


def test_a_real_mount_is_seen_and_missed(tmp_path):
    """The kernel's own mountinfo, and a file system in memory."""
    point = tmp_path / "srv disk"
    (point).mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("nothing may be mounted here")
    try:
        state = point / "web"
        state.mkdir()
        guard = StateMount(state, tmp_path / "agent")
        guard.require_to_open(lambda: False)
        guard.opens(arrived=False)
        guard.require_for_pass()
    finally:
        subprocess.run(["umount", str(point)], check=True)
    with pytest.raises(StateMissing, match="srv disk"):
        guard.require_for_pass()
    assert Mounts().point_of(Path.cwd()) in Mounts().now()
