"""What a workload renames while a pass of its state is under way, with real rsync from folder to folder."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.rsync import RsyncSync
from spotguard.host.second_look import LOOKS, SecondLook
from spotguard.host.state_folder import _entries, look_at
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from tests.host.copying import machine, settle, whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@dataclass(frozen=True)
class Meanwhile(RsyncTransport):
    """`happens` is called with each run that sends files; the names that it tells came after rsync had read there."""

    happens: Callable = tuple

    def start(self, arguments, said_to, told_to, given):
        has_names = os.fstat(given.fileno()).st_size > 0
        sends = "--archive" in arguments and (has_names or "--files-from=-" not in arguments)
        unread = self.happens() if sends else ()
        excluded = [f"--exclude=/{name}" for name in unread]
        return super().start([*excluded, *arguments], said_to, told_to, given)


class Maildir:
    """A state with a mail that came long before, and what its workload does while rsync reads."""

    def __init__(self, tmp_path):
        self.path, self.there = tmp_path / "primary", tmp_path / "standby"
        self.runs = 0
        for name in ("cur", "new", "tmp"):
            (self.path / name).mkdir(parents=True)
        self.write("new/mail", "acknowledged an hour ago")
        settle()

    def write(self, name, text):
        (self.path / name).write_text(text)

    def rename(self, name, to):
        (self.path / name).rename(self.path / to)

    def pass_arrives(self, tmp_path, happens, runs=True, program=("rsync",)):
        """What the standby has of it. `happens`: told the number of the run."""

        def next_run():
            self.runs += 1
            return happens(self.runs) or ()

        transport = Meanwhile(str(tmp_path / "{address}-inbox"), program=program, happens=next_run)
        term = Term(held=lambda: 1, runs=lambda: runs)
        primary = RsyncSync(self.path, tmp_path / "primary-inbox", transport, term)
        primary.adopt(1)
        whole_pass(primary)
        assert machine(tmp_path, "standby").adopt(2)
        return sorted(str(path.relative_to(self.there)) for path in self.there.rglob("*") if path.is_file())


@pytest.fixture
def maildir(tmp_path):
    return Maildir(tmp_path)


def test_a_file_that_comes_into_a_folder_after_it_was_read_is_in_the_pass(maildir, tmp_path):
    def is_read(run):
        if run == 1:
            maildir.rename("new/mail", "cur/mail")
            return ["cur/mail"]
        return []

    assert maildir.pass_arrives(tmp_path, is_read) == ["cur/mail"]
    assert (maildir.there / "cur/mail").read_text() == "acknowledged an hour ago"


def test_all_that_is_in_a_folder_that_is_renamed_meanwhile_is_in_the_pass(maildir, tmp_path):
    """Nothing in it has a new time."""
    (maildir.path / "new/deep/empty").mkdir(parents=True)
    maildir.write("new/deep/file", "1")
    settle()

    def comes(run):
        if run == 1:
            maildir.rename("new", "cur/new")
            return ["cur/new"]
        return []

    assert maildir.pass_arrives(tmp_path, comes) == ["cur/new/deep/file", "cur/new/mail"]
    assert (maildir.there / "cur/new/deep/empty").is_dir()


def test_a_file_that_was_away_under_another_name_while_its_folder_was_read_is_in_the_pass(maildir, tmp_path):
    """A job that somebody takes, and gives back."""

    def taken(run):
        if run == 1:
            maildir.rename("new/mail", "new/mail.lock")
            settle()
            maildir.rename("new/mail.lock", "new/mail")
            return ["new/mail"]
        return []

    assert maildir.pass_arrives(tmp_path, taken) == ["new/mail"]


@pytest.mark.parametrize("times", [2, LOOKS - 1])
def test_a_file_that_is_renamed_again_before_it_is_read_is_looked_for_again(maildir, tmp_path, times):
    names = ["new/mail", *(f"cur/mail-{number}" for number in range(times))]

    def goes_on(run):
        if run <= times:
            maildir.rename(names[run - 1], names[run])
            return [names[run]]
        return []

    assert maildir.pass_arrives(tmp_path, goes_on) == names[-1:]


def test_a_pass_that_never_gets_hold_of_a_file_is_not_whole(maildir, tmp_path):
    names = ["new/mail"]

    def goes_on(run):
        names.append(f"cur/mail-{run}")
        maildir.rename(names[-2], names[-1])
        return names[-1:]

    with pytest.raises(SyncFailed, match=r"renamed .*cur/mail-\d"):
        maildir.pass_arrives(tmp_path, goes_on)
    assert machine(tmp_path, "standby").received().position is None
    assert len(names) - 1 == LOOKS, "it ends"


def test_a_workload_that_renames_writes_and_deletes_without_end_gets_its_passes(maildir, tmp_path):
    """What it renames is in the pass by then, and what it writes came later than that began."""
    for number in range(30):
        maildir.write(f"new/mail-{number}", "acknowledged an hour ago")
    settle()

    def lives(run):
        moved = [f"mail-{number}" for number in (2 * run, 2 * run + 1)]
        for name in moved:
            maildir.rename(f"new/{name}", f"cur/{name}")
        for path in (maildir.path / "tmp").iterdir():
            path.unlink()
        maildir.write(f"tmp/{run}", "its inode is that of another before")
        return ["tmp/*", *(f"cur/{name}" for name in moved)]

    arrived = {name.rpartition("/")[2] for name in maildir.pass_arrives(tmp_path, lives)}
    assert {f"mail-{number}" for number in range(30)} <= arrived
    assert maildir.runs < LOOKS


def test_files_that_change_without_end_beside_names_that_do_are_no_reason_to_wait(maildir, tmp_path):
    """A database, and its journal that each transaction makes and deletes."""

    def writes(run):
        (maildir.path / "new" / f"journal-{run}").touch()
        (maildir.path / "new" / f"journal-{run - 1}").unlink(missing_ok=True)
        maildir.write("new/mail", f"transaction {run}")

    assert "new/mail" in maildir.pass_arrives(tmp_path, writes)
    assert maildir.runs == 2


def test_what_shifts_from_name_to_name_meanwhile_is_in_the_pass(maildir, tmp_path):
    """The names are all there, and each stands for another file by now."""
    for name in ("log", "log.1", "log.2"):
        maildir.write(f"new/{name}", f"was {name}")
    settle()

    def rotated(run):
        if run == 2:
            return []
        maildir.rename("new/log.2", "new/log.3")
        maildir.rename("new/log.1", "new/log.2")
        maildir.rename("new/log", "new/log.1")
        maildir.write("new/log", "fresh")
        return ["new/log.3", "new/log.2"]

    maildir.pass_arrives(tmp_path, rotated)
    assert [(maildir.there / f"new/log.{number}").read_text() for number in (1, 2, 3)] == [
        "was log",
        "was log.1",
        "was log.2",
    ]


def test_nobody_looks_twice_at_a_state_whose_workload_is_stopped(maildir, tmp_path):
    """A move waits for it."""
    maildir.pass_arrives(tmp_path, lambda _run: maildir.rename("new/mail", "cur/mail"), runs=False)
    assert maildir.runs == 1


def test_what_vanishes_although_the_workload_is_stopped_is_looked_for(maildir, tmp_path):
    """Somebody else writes there."""

    def moved(run):
        if run == 1:
            maildir.rename("new/mail", "cur/mail")
            return ["cur/mail"]
        return []

    vanished = ("sh", "-c", 'rsync "$@" && exit 24', "rsync")
    assert maildir.pass_arrives(tmp_path, moved, runs=False, program=vanished) == ["cur/mail"]


def test_a_clock_that_is_set_back_during_a_pass_ends_it(maildir):
    """What is renamed then has a time from before the pass."""
    folders, now, monotonic = look_at(maildir.path).folders, time.time_ns(), time.monotonic_ns()
    assert SecondLook(maildir.path, folders, now, now - monotonic).lacking()
    with pytest.raises(SyncFailed, match="clock"):
        SecondLook(maildir.path, folders, now, now - monotonic + 2_000_000_000).lacking()


def test_a_folder_in_whose_place_a_file_comes_amid_a_look_ends_no_look(maildir):
    for name in ("one", "two"):
        maildir.write(f"tmp/{name}", "1")
    walk, met = _entries(os.fsencode(maildir.path)), []
    for name, _ in walk:
        met.append(name.rpartition(b"/")[2])
        if met[-1] == b"one":
            maildir.rename("tmp", "former")
            maildir.write("tmp", "a file by now")
    assert met[-1] == b"one"
