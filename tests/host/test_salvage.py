"""A dead holder's tree beside the present one: what it has that the other lacks, and not a byte of it changed."""

import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from spotguard.domain.clock import EARLIEST, LATEST
from spotguard.domain.errors import SalvageFailed
from spotguard.host.commands import Ran
from spotguard.host.salvage import MountedSalvage, device_of, missing_in, mounted_at, within_its_mount
from spotguard.ports.salvage import Missing
from tests.host.disks import attached, ext4_in, mounted, needs_a_disk

OLD, NEW = 1_700_000_000, 1_700_000_500


def put(root, name, content, at=OLD):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at, at))


@pytest.fixture
def trees(tmp_path):
    present, lost = tmp_path / "present", tmp_path / "lost"
    for root in (present, lost):
        put(root, "same", b"12345")
        put(root, "deep/same", b"1")
    return present, lost


def test_equal_trees_lack_nothing(trees):
    assert missing_in(*trees) == Missing(0, 0, None)


def test_what_is_missing_and_what_is_older_counts_and_the_newest_is_told(trees):
    present, lost = trees
    put(lost, "deep/only-here", b"x" * 70, at=NEW)
    put(lost, "same", b"1234567", at=OLD + 100)
    assert missing_in(present, lost) == Missing(2, 77, datetime.fromtimestamp(NEW, UTC))


def test_what_the_present_state_has_newer_or_alone_does_not_count(trees):
    present, lost = trees
    put(present, "same", b"written since", at=NEW)
    put(present, "new", b"y")
    assert missing_in(present, lost).files == 0


def test_what_is_shorter_with_the_same_time_is_missing(trees):
    present, lost = trees
    put(lost, "same", b"1234567")
    assert missing_in(present, lost) == Missing(1, 7, datetime.fromtimestamp(OLD, UTC))
    assert missing_in(lost, present).files == 0


def test_a_folder_that_cannot_be_read_is_told_and_not_taken_for_an_empty_one(trees):
    present, lost = trees
    too_deep(lost)
    with pytest.raises(SalvageFailed, match="cannot be read"):
        missing_in(present, lost)


def too_deep(root):
    """Folders whose path is longer than the kernel takes: even root cannot list the last ones."""
    above = os.open(root, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=above)
        here = os.open("d" * 250, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = here
    os.close(above)


def test_links_are_not_followed_and_a_file_where_a_folder_was_is_missing(trees):
    present, lost = trees
    (lost / "link").symlink_to("/etc/hostname")
    put(lost, "was-a-folder/file", b"abc")
    put(present, "was-a-folder", b"now a file")
    assert missing_in(present, lost) == Missing(1, 3, datetime.fromtimestamp(OLD, UTC))


def test_a_volume_without_the_states_folder_is_a_failure_and_not_an_empty_answer(trees):
    present, lost = trees
    with pytest.raises(SalvageFailed, match="no folder"):
        missing_in(present, lost / "elsewhere")


def test_a_volume_without_any_file_beside_a_state_with_some_is_a_failure_and_lacks_nothing_to_nobody(trees):
    present, lost = trees
    shutil.rmtree(lost)
    (lost / "lost+found").mkdir(parents=True)
    with pytest.raises(SalvageFailed, match="no file on the volume"):
        missing_in(present, lost)


@pytest.mark.parametrize(("written_at", "told"), [(0, EARLIEST), (10**10, LATEST), (2**40, LATEST)])
def test_a_file_whose_time_cannot_be_told_counts_with_the_nearest_that_can(trees, written_at, told):
    """2**40 is beyond the year 9999; ext4 keeps times up to 2446."""
    present, lost = trees
    put(lost, "only-here", b"x")
    os.utime(lost / "only-here", (written_at, written_at))
    if (lost / "only-here").stat().st_mtime != written_at:
        pytest.skip("this file system has no such times")
    for name in ("same", "deep/same"):
        (lost / name).unlink()
    assert missing_in(present, lost) == Missing(1, 1, told)


def asked(salvage, volume_id="vol-0123456789abcdef0"):
    while (found := salvage.compare(volume_id)) is None:
        salvage._thread.join()
    return found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_look_that_dies_of_what_nobody_foresaw_is_over_and_is_not_begun_anew(trees):
    looks = []

    @contextmanager
    def mount(volume_id):
        looks.append(volume_id)
        raise ValueError("year 36812 is out of range")
        yield

    with pytest.raises(SalvageFailed, match="vol-1 broke off"):
        asked(MountedSalvage(trees[0], mount), "vol-1")
    assert looks == ["vol-1"]


def test_it_is_compared_in_the_background_at_the_states_place_within_its_file_system(trees, tmp_path):
    present, lost = trees
    put(lost, "only-here", b"x")
    root = tmp_path / "mounted"
    there = root / within_its_mount(present)
    there.parent.mkdir(parents=True)
    lost.rename(there)
    mounted = []

    @contextmanager
    def mount(volume_id):
        mounted.append(volume_id)
        yield root
        mounted.append("unmounted")

    salvage = MountedSalvage(present, mount)
    assert asked(salvage).files == 1
    assert mounted == ["vol-0123456789abcdef0", "unmounted"]
    assert asked(salvage).files == 1, "asked again it looks again"


def test_a_disk_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SalvageFailed, match="shows no disk"):
        asked(MountedSalvage(tmp_path))
    with pytest.raises(SalvageFailed, match="vol-0fffffffffffffff0"):
        device_of("vol-0fffffffffffffff0")


def test_a_link_that_leads_out_of_the_volume_is_refused(trees, tmp_path):
    present, _ = trees
    root = tmp_path / "mounted"
    there = root / within_its_mount(present)
    there.parent.mkdir(parents=True)
    there.symlink_to(present)

    @contextmanager
    def mount(_):
        yield root

    with pytest.raises(SalvageFailed, match="out of it"):
        asked(MountedSalvage(present, mount))


@needs_a_disk
def test_what_was_made_durable_last_is_seen_although_it_is_in_the_journal_alone(tmp_path):
    """A holder that died: its disk is as it was at that moment, and the snapshot is of that."""
    disk, copy, live = tmp_path / "disk", tmp_path / "copy", tmp_path / "live"
    ext4_in(disk)
    live.mkdir()
    with attached(disk) as device, mounted_at(device, "vol-1") as seen:
        assert missing_in(live, seen) == Missing(0, 0, None)
    with mounted(disk, live):
        with (live / "acknowledged").open("wb") as file:
            file.write(b"x" * 5000)
            os.fsync(file.fileno())
        shutil.copyfile(disk, copy)
    with mounted(copy, live, "ro,noload"):
        assert not (live / "acknowledged").exists(), "who writes nothing to it does not see it"
    with attached(copy) as device, mounted_at(device, "vol-1") as seen:
        assert (missing_in(live, seen).files, missing_in(live, seen).bytes) == (1, 5000)
        with pytest.raises(OSError, match="Read-only"):
            (seen / "acknowledged").write_bytes(b"changed")


def test_a_file_system_that_is_refused_beside_its_original_is_asked_for_as_its_clone(tmp_path):
    """XFS: both have one UUID."""
    asked = []

    def runs(command, _seconds):
        asked.append(command)
        return Ran(32 if command[:3] == ("mount", "-o", "ro") else 0, "wrong fs type")

    with mounted_at(tmp_path, "vol-1", runs):
        assert [words[2] for words in asked] == ["ro", "ro,nouuid"]


def test_what_cannot_be_mounted_is_told(tmp_path):
    """Also what the first try has met: the second is XFS's, and an ext4 always refuses it."""

    def runs(command, _seconds):
        return Ran(None, "slow") if command[2] == "ro" else Ran(32, "wrong fs type")

    with (
        pytest.raises(SalvageFailed, match="vol-1 cannot be mounted: slow; wrong fs type"),
        mounted_at(tmp_path, "vol-1", runs),
    ):
        pass


class Mounts:
    """`umount` finds the volume busy for so many times."""

    def __init__(self, busy):
        self.busy, self.mounted = busy, []

    def run(self, command, _seconds):
        match command:
            case ("mount", *_, folder):
                self.mounted.append(folder)
            case ("umount", _) if self.busy:
                self.busy -= 1
                return Ran(32, "target is busy")
            case ("umount", folder):
                self.mounted.remove(folder)
        return Ran(0, "")


def test_a_volume_that_is_busy_for_a_moment_is_unmounted_all_the_same(tmp_path):
    """EC2 cannot take it away before, and nobody would try again."""
    mounts = Mounts(busy=1)
    with mounted_at(tmp_path, "vol-1", mounts.run) as root:
        assert mounts.mounted == [str(root)]
    assert mounts.mounted == []
    assert not root.exists()


@pytest.mark.long
def test_of_a_volume_that_stays_busy_nothing_is_deleted_and_it_is_told(tmp_path):
    """Its folder stays: whoever cleared it away would go on into what is mounted there."""
    mounts = Mounts(busy=99)
    with (
        pytest.raises(SalvageFailed, match=r"vol-1 cannot be unmounted from .*busy"),
        mounted_at(tmp_path, "vol-1", mounts.run) as root,
    ):
        (root / "acknowledged").write_text("1")
    assert (root / "acknowledged").read_text() == "1"
    (root / "acknowledged").unlink()
    root.rmdir()
