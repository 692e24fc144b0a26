"""A folder that takes another's name between two passes: below it nothing has a new time."""

import os
import shutil
import threading
import time

import pytest

from spotguard.host.known_folders import NO_FOLDERS
from spotguard.host.rsync import UNDER_WAY_NANOSECONDS
from spotguard.host.state_folder import Linked, folders_of, look_at
from spotguard.host.sync_memory import memory_of
from tests.host.copying import machine, pair_in, settle, whole_pass

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

RELEASED = (
    1_700_000_000,
    1_700_000_000,
)  # of every file, as tar, git archive, SOURCE_DATE_EPOCH or cp -p leave it


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, RELEASED)


def release(state, below="."):
    """Two versions, of one size and one time, whose files have come long before the pass."""
    for name, text in (("app", "limit=10"), ("app.new", "limit=99")):
        write(state / name / below / "conf", text)


def swap(state):
    (state / "app").rename(state / "app.old")
    (state / "app.new").rename(state / "app")
    settle()


def linked_to(state):
    """What a pass is linked to of which all this was there long before."""
    settle()
    linked = Linked(time.time_ns(), folders_of(state, look_at(state)))
    settle()
    return linked


def named(look):
    return set(look.changed.split(b"\0")[:-1])


@pytest.mark.parametrize("below", [".", "etc", "etc/conf.d"])
def test_every_file_below_a_folder_that_has_come_to_its_name_is_told(tmp_path, below):
    release(tmp_path, below)
    write(tmp_path / "data" / "stays", "1")
    linked = linked_to(tmp_path)
    swap(tmp_path)
    inner = "" if below == "." else f"{below}/"
    assert named(look_at(tmp_path, linked)) == {
        f"./app/{inner}conf".encode(),
        f"./app.old/{inner}conf".encode(),
    }


def test_nothing_is_told_where_all_folders_are_what_they_were(tmp_path):
    release(tmp_path, "etc")
    linked = linked_to(tmp_path)
    write(tmp_path / "app" / "fresh", "1")  # its folder's times are new, and the folder is the same
    settle()
    assert named(look_at(tmp_path, linked)) == {b"./app/fresh"}


def test_a_state_that_took_another_ones_place_is_told_whole(tmp_path):
    for name in ("state", "other"):
        write(tmp_path / name / "sub" / "conf", name)
    linked = linked_to(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "gone")
    (tmp_path / "other").rename(tmp_path / "state")
    assert named(look_at(tmp_path / "state", linked)) == {b"./sub/conf"}


def test_a_folder_in_the_place_of_a_link_to_it_is_told(tmp_path):
    release(tmp_path)
    (tmp_path / "current").symlink_to("app")
    linked = linked_to(tmp_path)
    (tmp_path / "current").unlink()
    (tmp_path / "app").rename(tmp_path / "current")
    assert named(look_at(tmp_path, linked)) == {b"./current/conf"}


def test_a_file_renamed_over_another_or_linked_there_has_a_new_time_of_its_own(tmp_path):
    release(tmp_path)
    write(tmp_path / "app" / "other", "limit=77")
    linked = linked_to(tmp_path)
    (tmp_path / "app.new" / "conf").rename(tmp_path / "app" / "conf")
    (tmp_path / "app" / "name").hardlink_to(tmp_path / "app" / "other")
    assert named(look_at(tmp_path, linked)) == {b"./app/conf", b"./app/other", b"./app/name"}


def test_with_a_file_go_its_names_in_folders_that_are_the_same(tmp_path):
    """rsync finds the former file by the first of them, and links the others to it."""
    release(tmp_path)
    write(tmp_path / "zoo" / "alone", "1")
    (tmp_path / "zoo" / "conf").hardlink_to(tmp_path / "app.new" / "conf")
    linked = linked_to(tmp_path)
    swap(tmp_path)
    assert named(look_at(tmp_path, linked)) == {b"./app/conf", b"./app.old/conf", b"./zoo/conf"}


def test_where_it_is_not_known_which_folders_there_were_everything_is_told(tmp_path):
    release(tmp_path, "etc")
    write(tmp_path / "top", "1")
    since_ns = linked_to(tmp_path).since_ns
    seen = look_at(tmp_path, Linked(since_ns, NO_FOLDERS))
    assert named(seen) == {b"./app/etc/conf", b"./app.new/etc/conf", b"./top"}


@needs_rsync
@pytest.mark.long  # a file counts as under way for ten seconds
@pytest.mark.parametrize("memory", ["kept", "of a restart", "gone", "damaged", "of a version before"])
def test_what_is_in_a_folder_that_was_renamed_is_not_taken_for_what_was_there_before(tmp_path, memory):
    primary, standby, state, theirs = pair_in(tmp_path)
    for below in (".", "etc/conf.d"):
        release(state, below)
    (state / "zoo").hardlink_to(state / "app.new" / "conf")
    threading.Event().wait(UNDER_WAY_NANOSECONDS / 1e9 + 0.1)
    whole_pass(primary)
    assert whole_pass(primary).position == primary.position()
    swap(state)
    if memory != "kept":
        primary = after_a_restart(tmp_path, memory)
    assert whole_pass(primary).position == primary.position(), "it claims to be all of it"
    standby.adopt(2)
    for name in ("app/conf", "app/etc/conf.d/conf", "zoo"):
        assert (theirs / name).read_text() == "limit=99"
    assert (theirs / "app.old/conf").read_text() == "limit=10"
    assert (theirs / "zoo").samefile(theirs / "app/conf")


def after_a_restart(tmp_path, memory):
    """Of the agent, with what is left of its `memory`."""
    folder = memory_of(tmp_path / "primary")
    (kept,) = (folder / "folders").iterdir()
    if memory == "gone":
        kept.unlink()
    if memory == "damaged":
        kept.write_bytes(kept.read_bytes()[:-8])
    if memory == "of a version before":
        line = (folder / "memory.json").read_bytes().partition(b" ")[2]
        (folder / "memory.json").write_bytes(line.replace(f',"folders":"{kept.name}"'.encode(), b""))
    return machine(tmp_path, "primary")
