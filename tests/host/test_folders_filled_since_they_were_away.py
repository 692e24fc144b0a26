"""As test_folders_that_were_away, and then a name is made in it: its times are those of a folder that was only filled.

That it may have been away shows by others alone: by the one that was in its place.
"""

import shutil

import pytest

from spotguard.host.known_folders import trace
from spotguard.host.rsync import UNDER_WAY_NANOSECONDS
from spotguard.host.state_folder import inode_of
from tests.host.copying import proven_pass, settle, wait, whole_pass
from tests.host.test_folders_that_were_away import Rollout, primary_of, second_look
from tests.host.test_renamed_between_passes import release, write

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


def stays(state):
    """The other release, where it was."""


def is_deleted(state):
    shutil.rmtree(state / "app.new")


def is_kept_elsewhere(state):
    (state / "failed").mkdir(exist_ok=True)
    (state / "app.new").rename(state / "failed/app")


def starts(state):
    (state / "app/run.pid").write_text("4711")


def strayed_of(look, state):
    """Which of the folders that are there."""
    names = {"", *(str(path.relative_to(state)) for path in state.rglob("*") if path.is_dir())}
    return {name for name in names if trace(name.encode(), inode_of((state / name).stat())) in look.strayed}


@needs_rsync
@pytest.mark.long  # a file counts as under way for ten seconds
@pytest.mark.parametrize("other", [stays, is_deleted, is_kept_elsewhere])
def test_the_last_pass_has_the_release_that_was_rolled_back_to_and_started(tmp_path, other):
    """Of the same size and time as what was read in its place."""
    state, runs = tmp_path / "primary", [True]
    rollout = Rollout(state)
    first = [rollout.deploy]
    wait(UNDER_WAY_NANOSECONDS)

    def back():
        if rollout.is_out:
            rollout.roll_back()
            other(state)
            starts(state)

    primary = primary_of(
        tmp_path, runs=lambda: runs[0], before=lambda: first.pop()() if first else None, after=back
    )
    for _ in range(2):
        whole_pass(primary)
        settle()
    runs[0] = False
    proven_pass(tmp_path, primary)
    assert (state / "app/conf").read_text() == "limit=10"
    assert (tmp_path / "standby/app/conf").read_text() == "limit=10"


@pytest.mark.parametrize("other", [stays, is_deleted, is_kept_elsewhere])
def test_what_was_filled_is_read_by_the_next_pass_where_another_folder_was_renamed(tmp_path, other):
    rollout = Rollout(tmp_path)
    look = second_look(tmp_path)
    rollout.deploy()
    rollout.roll_back()
    other(tmp_path)
    starts(tmp_path)
    assert b"app/conf" not in look.lacking(), "in this pass only what surely was away is sent again"
    assert "app" in strayed_of(look, tmp_path)


def test_a_release_that_was_unpacked_meanwhile_and_lies_beside_tells_it(tmp_path):
    release(tmp_path)
    look = second_look(tmp_path)
    shutil.rmtree(tmp_path / "app.new")
    write(tmp_path / "app.failed/conf", "limit=99")
    starts(tmp_path)
    look.lacking()
    assert strayed_of(look, tmp_path) == {"app"}


def test_what_was_filled_before_a_rename_showed_is_read_too(tmp_path):
    """The one in its place was outside the state when the first look came by."""
    write(tmp_path / "state/app/conf", "limit=10")
    write(tmp_path / "state/releases/app.new/conf", "limit=99")
    state, new = tmp_path / "state", tmp_path / "state/releases/app.new"
    look = second_look(state)
    new.rename(tmp_path / "outside")
    (state / "journal").touch()
    starts(state)
    look.lacking()
    assert strayed_of(look, state) == set()
    settle()
    (tmp_path / "outside").rename(new)
    look.lacking()
    assert "app" in strayed_of(look, state)


def test_folders_that_are_made_and_deleted_elsewhere_let_nothing_be_read_again(tmp_path):
    """Uploads beside a journal, and the folders of requests in another place."""
    write(tmp_path / "uploads/old", "1")
    for name in ("before", "others/before"):
        write(tmp_path / f"requests/{name}/part", "2")
    look = second_look(tmp_path)
    settle()  # else what is made now may have come before it, by the kernel's clock
    for number in range(2):
        write(tmp_path / f"requests/{number}/part", "2")
        shutil.rmtree(tmp_path / "requests" / ("before" if number == 0 else "0"))
        write(tmp_path / f"uploads/{number}", "3")
        (tmp_path / "journal").touch()
        (tmp_path / "journal").unlink()
        assert b"uploads/old" not in look.lacking()
        settle()
    assert strayed_of(look, tmp_path) == set()
