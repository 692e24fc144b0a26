"""A folder has another's name while rsync reads, or none in the state, and its own again when the look comes by.

Its inode is the one that was there before. Below it nothing has a new time.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.rsync import UNDER_WAY_NANOSECONDS, RsyncSync
from spotguard.host.second_look import AWAY_TIMES, LOOKS, SecondLook
from spotguard.host.state_folder import look_at
from spotguard.host.sync_memory import STEP_NANOSECONDS
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from tests.host.copying import machine, proven_pass, settle, wait, whole_pass
from tests.host.test_renamed_between_passes import release, write

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


class Rollout:
    """A release that is deployed by renaming, and taken back at once."""

    def __init__(self, state):
        self.state, self.is_out = state, False
        release(state)

    def deploy(self):
        (self.state / "app").rename(self.state / "app.old")
        (self.state / "app.new").rename(self.state / "app")
        self.is_out = True

    def roll_back(self):
        if self.is_out:
            (self.state / "app").rename(self.state / "app.new")
            (self.state / "app.old").rename(self.state / "app")
            self.is_out = False


@dataclass(frozen=True)
class Around(RsyncTransport):
    """`before` the run that reads the whole state, and `after` it; with `each` every run that reads. `breaks`: asked
    whether that run has failed.
    """

    before: Callable = tuple
    after: Callable = tuple
    breaks: Callable = bool
    each: bool = False

    def start(self, arguments, said_to, told_to, given):
        if "--archive" not in arguments or ("--files-from=-" in arguments and not self.each):
            return super().start(arguments, said_to, told_to, given)
        self.before()
        process = super().start(arguments, said_to, told_to, given)
        process.wait()
        self.after()
        if self.breaks():
            raise OSError("the link is gone")
        return process


def primary_of(tmp_path, runs=lambda: True, **around):
    transport = Around(str(tmp_path / "{address}-inbox"), **around)
    sync = RsyncSync(tmp_path / "primary", tmp_path / "primary-inbox", transport, Term(lambda: 1, runs))
    sync.adopt(1)
    return sync


def request(state):
    """Nothing of it is away at any time."""
    (state / "uploads").chmod(0o750)
    (state / "journal").touch()
    (state / "journal").unlink()


@needs_rsync
@pytest.mark.long  # a file counts as under way for ten seconds
@pytest.mark.parametrize("ends", ["whole", "broken"])
def test_the_last_pass_has_what_is_in_a_folder_that_was_away_during_one_pass(tmp_path, ends):
    """Of the same size and time as what was read in its place."""
    state, runs, breaks = tmp_path / "primary", [True], [ends == "broken"]
    rollout = Rollout(state)
    first = [rollout.deploy]
    wait(UNDER_WAY_NANOSECONDS)
    primary = primary_of(
        tmp_path,
        runs=lambda: runs[0],
        before=lambda: first.pop()() if first else None,
        after=rollout.roll_back,
        breaks=lambda: breaks.pop() if breaks else False,
    )
    if ends == "broken":
        with pytest.raises(SyncFailed, match="the link is gone"):
            whole_pass(primary)
    else:
        whole_pass(primary)
        settle()
        whole_pass(primary)
    assert not first
    settle()
    runs[0] = False
    proven_pass(tmp_path, primary)
    assert (state / "app/conf").read_text() == "limit=10"
    assert (tmp_path / "standby/app/conf").read_text() == "limit=10"
    assert (tmp_path / "standby/app.new/conf").read_text() == "limit=99"


@needs_rsync
@pytest.mark.long
def test_the_last_pass_has_what_is_in_a_folder_that_was_away_whenever_it_was_read(tmp_path):
    state, runs = tmp_path / "primary", [True]
    rollout = Rollout(state)
    wait(UNDER_WAY_NANOSECONDS)
    primary = primary_of(
        tmp_path,
        runs=lambda: runs[0],
        before=lambda: runs[0] and rollout.deploy(),
        after=rollout.roll_back,
        each=True,
    )
    for _ in range(2):
        whole_pass(primary)
        settle()
    runs[0] = False
    proven_pass(tmp_path, primary)
    assert (tmp_path / "standby/app/conf").read_text() == "limit=10"
    assert (tmp_path / "standby/app.new/conf").read_text() == "limit=99"


@needs_rsync
@pytest.mark.long
def test_a_workload_that_sets_the_mode_of_a_folder_without_end_gets_its_passes(tmp_path):
    state, ends, runs = tmp_path / "primary", threading.Event(), [True]
    write(state / "uploads/old", "1")
    wait(STEP_NANOSECONDS)

    def works():
        while not ends.wait(0.02):
            request(state)

    thread = threading.Thread(target=works)
    thread.start()
    try:
        primary = primary_of(tmp_path, runs=lambda: runs[0])
        for _ in range(2):
            whole_pass(primary)
    finally:
        ends.set()
        thread.join()
    settle()
    runs[0] = False
    assert whole_pass(primary).position == primary.position()


@needs_rsync
@pytest.mark.parametrize("elsewhere", ["app.aside", "primary/data/app.aside"])
def test_a_pass_that_counts_as_whole_has_a_folder_that_was_away_while_rsync_read(tmp_path, elsewhere):
    """As a maintenance script does: moved out of the way, and back. Whoever is promoted now serves without it."""
    release(tmp_path / "primary", "etc")
    (tmp_path / "primary/data").mkdir()
    (tmp_path / "primary/app/empty").mkdir()
    wait(STEP_NANOSECONDS)
    app, aside = tmp_path / "primary/app", tmp_path / elsewhere
    whole_pass(primary_of(tmp_path, before=lambda: app.rename(aside), after=lambda: aside.rename(app)))
    assert machine(tmp_path, "standby").adopt(2)
    assert (tmp_path / "standby/app/etc/conf").read_text() == "limit=10"
    assert (tmp_path / "standby/app/empty").is_dir()


@needs_rsync
def test_a_pass_has_a_state_that_was_away_as_a_whole_while_rsync_read(tmp_path):
    state, other, aside = tmp_path / "primary", tmp_path / "other", tmp_path / "aside"
    write(state / "conf", "limit=10")
    write(other / "conf", "limit=99")
    wait(STEP_NANOSECONDS)

    def goes():
        state.rename(aside)
        other.rename(state)

    def comes_back():
        state.rename(other)
        aside.rename(state)

    whole_pass(primary_of(tmp_path, before=goes, after=comes_back))
    assert machine(tmp_path, "standby").adopt(2)
    assert (tmp_path / "standby/conf").read_text() == "limit=10"


# what a look tells, without rsync


def second_look(state):
    """Of a pass that begins now."""
    wait(STEP_NANOSECONDS)  # what came before shows in no time
    seen, began_ns = look_at(state), time.time_ns()
    return SecondLook(state, seen.folders, began_ns, began_ns - time.monotonic_ns())


@pytest.fixture
def rollout(tmp_path):
    return Rollout(tmp_path)


def looks_until_whole(look, meanwhile):
    """How often something was to be sent. `meanwhile` goes on before each look."""
    for times in range(LOOKS):
        meanwhile()
        if look.lacking() == ():
            return times
        settle()
    raise AssertionError("it never ends")


@pytest.mark.parametrize("times", range(1, AWAY_TIMES + 1))
def test_what_is_sent_while_its_folder_is_away_again_is_sent_again(rollout, tmp_path, times):
    look = second_look(tmp_path)
    for _ in range(times):
        rollout.deploy()
        rollout.roll_back()
        assert {b"app/conf", b"app.new/conf"} <= set(look.lacking())
        settle()
    assert look.lacking() == ()
    assert len(look.strayed) == 2


def test_a_folder_that_is_away_whenever_it_is_read_is_left_to_the_next_pass(rollout, tmp_path):
    look = second_look(tmp_path)

    def goes_on():
        rollout.deploy()
        rollout.roll_back()

    assert looks_until_whole(look, goes_on) == AWAY_TIMES
    assert len(look.strayed) == 2


def test_a_folder_whose_mode_is_set_without_end_holds_no_pass_up(tmp_path):
    """As `install -d -m 0750 uploads` or `chmod` before each request does, with a journal beside it."""
    write(tmp_path / "uploads/old", "1")
    look = second_look(tmp_path)
    assert looks_until_whole(look, lambda: request(tmp_path)) == AWAY_TIMES
    assert len(look.strayed) == 1, "the next pass reads it, since nobody knows that it was never away"


def test_folders_whose_modes_are_set_in_turns_hold_no_pass_up(tmp_path):
    """One in the other: at each look another one of them may have been away."""
    folders = [tmp_path / "/".join("abcdefgh"[:deep]) for deep in range(LOOKS, 0, -1)]
    write(folders[0] / "old", "1")
    look = second_look(tmp_path)

    def next_one():
        folder = folders.pop(0)
        (folder.parent / "journal").touch()
        (folder.parent / "journal").unlink()
        folder.chmod(0o750)

    assert looks_until_whole(look, next_one) == LOOKS - 1


def test_what_grows_beside_names_that_change_is_not_read_again(tmp_path):
    """Uploads, and the journal of a database beside them: else every pass would read all of them, the last one too."""
    write(tmp_path / "uploads/old", "1")
    look = second_look(tmp_path)
    for number in range(3):
        write(tmp_path / f"uploads/{number}", "2")
        (tmp_path / "journal").touch()
        (tmp_path / "journal").unlink()
        assert b"uploads/old" not in look.lacking()
        settle()
    assert not look.strayed


def test_a_folder_that_has_new_names_and_a_time_of_its_own_each_time_holds_no_pass_up(tmp_path):
    """As an rsync into it leaves it; and a file system may give its two times apart."""
    write(tmp_path / "copy/old", "1")
    look = second_look(tmp_path)

    def copies(number):
        write(tmp_path / f"copy/{number}", "2")
        (tmp_path / f"journal-{number}").touch()
        os.utime(tmp_path / "copy", (number, number))

    copies(1)
    assert b"copy/old" in look.lacking()
    settle()
    copies(2)
    assert look.lacking() == ()
    assert len(look.strayed) == 1
