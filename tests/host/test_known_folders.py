"""Which folders a copying instance remembers of what it has sent, and what becomes of that on its disk."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.known_folders import FolderMemory, KnownFolders, trace
from spotguard.host.rsync import RsyncSync
from spotguard.host.second_look import SecondLook
from spotguard.host.state_folder import folders_of, inode_of, look_at
from spotguard.host.sync_memory import STEP_NANOSECONDS, Sent, SyncMemory, memory_of
from spotguard.host.transport import RsyncTransport
from tests.host.copying import TARGET, pair_in, wait, whole_pass

FOLDERS = KnownFolders([7, 1 << 63, 4711])


def traced(state, name):
    return trace(name.encode(), inode_of((state / name).stat()))


def test_of_a_set_that_is_torn_or_has_one_bit_changed_nothing_is_known(tmp_path):
    name = FolderMemory(tmp_path).keep(FOLDERS)
    written = (tmp_path / name).read_bytes()
    torn = [written[:length] for length in range(len(written))]
    flipped = [written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :] for at in range(len(written))]
    for content in (*torn, *flipped):
        (tmp_path / name).write_bytes(content)
        assert len(FolderMemory(tmp_path).named(name)) == 0
    (tmp_path / name).write_bytes(written)
    assert FolderMemory(tmp_path).named(name).written() == FOLDERS.written()
    assert len(written) == 8 * len(FOLDERS)


def test_a_set_that_is_there_is_not_written_again(tmp_path):
    name = FolderMemory(tmp_path).keep(FOLDERS)
    before = (tmp_path / name).stat()
    assert FolderMemory(tmp_path).keep(KnownFolders([4711, 7, 1 << 63])) == name
    assert (tmp_path / name).stat() == before


def test_a_set_that_cannot_be_written_is_known_until_the_process_ends(tmp_path):
    (tmp_path / "folders").touch()
    memory = FolderMemory(tmp_path / "folders")
    name = memory.keep(FOLDERS)
    assert memory.named(name) is FOLDERS
    assert len(FolderMemory(tmp_path / "folders").named(name)) == 0


def test_sets_stay_as_long_as_a_target_holds_passes_of_them(tmp_path):
    memory = SyncMemory(tmp_path)
    for number in range(3):
        memory.keep_sent("one", Sent(f"pass-{number}"), KnownFolders([number]))
        memory.keep_sent("other", Sent("pass"), FOLDERS)
    assert len(list((tmp_path / "folders").iterdir())) == 2
    restarted = SyncMemory(tmp_path)
    assert 2 in restarted.folders_of(restarted.sent_to("one"))
    assert 4711 in restarted.folders_of(restarted.sent_to("other"))


def test_an_agent_that_is_killed_before_the_pass_counts_knows_the_folders_of_the_one_before(tmp_path):
    """Those of the new pass are on the disk by then."""
    memory = SyncMemory(tmp_path)
    memory.keep_sent("one", Sent("before"), FOLDERS)
    FolderMemory(tmp_path / "folders").keep(KnownFolders([5]))
    restarted = SyncMemory(tmp_path)
    known = restarted.folders_of(restarted.sent_to("one"))
    assert known.written() == FOLDERS.written()
    restarted.keep_sent("one", Sent("next"), FOLDERS)
    assert len(list((tmp_path / "folders").iterdir())) == 1, "what it had written is deleted"


def test_a_folder_that_had_another_name_during_a_pass_is_not_remembered_of_it(tmp_path):
    """rsync may have read either, and the next look finds the first one in its place again."""
    for name in ("app", "app.new", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conf").touch()
    wait(STEP_NANOSECONDS)  # what came before shows in no time
    now = time.time_ns()
    seen = look_at(tmp_path)
    second = SecondLook(tmp_path, seen.folders, now, now - time.monotonic_ns())
    (tmp_path / "app").rename(tmp_path / "app.old")
    (tmp_path / "app.new").rename(tmp_path / "app")
    second.lacking()
    (tmp_path / "app").rename(tmp_path / "app.new")
    (tmp_path / "app.old").rename(tmp_path / "app")
    second.lacking()
    kept = folders_of(tmp_path, seen).without(second.strayed)
    assert traced(tmp_path, "data") in kept
    assert trace(b"", inode_of(tmp_path.stat())) in kept
    assert traced(tmp_path, "app") not in kept


@dataclass(frozen=True)
class Cut(RsyncTransport):
    """A link that is there as long as a file is."""

    link: Path = Path()

    def start(self, arguments, said_to, told_to, given):
        if not self.link.exists():
            raise OSError("no link")
        return super().start(arguments, said_to, told_to, given)


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_of_passes_that_broke_are_known_the_folders_that_were_the_same_in_each(tmp_path):
    """A pass is linked to all of them: what one has of a folder may be another's."""
    _, _, state, _ = pair_in(tmp_path)
    link = tmp_path / "link"
    link.touch()
    transport = Cut(str(tmp_path / "{address}-inbox"), link=link)
    primary = RsyncSync(state, tmp_path / "primary-inbox", transport)
    (state / "app").mkdir()
    whole_pass(primary)
    first = traced(state, "app")
    link.unlink()
    (state / "app").rename(state / "app.old")
    (state / "app").mkdir()
    with pytest.raises(SyncFailed):
        whole_pass(primary)
    memory = SyncMemory(memory_of(tmp_path / "primary"))
    sent = memory.sent_to(TARGET.instance_id)
    known = memory.folders_of(sent)
    assert sent.broken
    assert traced(state, "sub") in known
    assert first not in known
    assert traced(state, "app") not in known
