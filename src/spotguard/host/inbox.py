"""Where passes arrive: `passes/<id>/` holds one, `marks/<id>.whole` says that it is all there.

An id is the epoch under which the state was served and a number that grows with every pass: of two passes the greater
is the newer, whatever the clocks of the senders say.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, count, takewhile
from pathlib import Path

import msgspec

from spotguard.host.clock import since_boot
from spotguard.host.disk import sync_names
from spotguard.host.mounts import Mounts
from spotguard.host.state_folder import size_of
from spotguard.host.term import UNKNOWN_TERM
from spotguard.ports.workload import Position, Received
from spotguard.telemetry import get_logger

KEPT_WHOLE = 2
KEPT_BROKEN = 3  # newer than the newest whole one: what has arrived of them is not sent again
LARGEST_LAID = 16 * 1024  # of a mark, or a note
CLOCKS_AGREE_SECONDS = 1.0  # a mark that is younger than now by less was written now
_ID = re.compile(r"(\d{9})-\d{17}")
_OF_A_PASS = re.compile(rf"{_ID.pattern}(\.\d+)?")  # what went aside for it

log = get_logger("sync")


class Mark(msgspec.Struct, frozen=True):
    """What the sender says of a pass. `seconds`: from the look at its state to the end of the copying. `agent`: whose
    state it is; None where the sender did not know.
    """

    position: Position
    bytes: int
    seconds: float = 0.0
    agent: str | None = None


UNREADABLE = Mark(position=0, bytes=0)


@dataclass(frozen=True)
class Pass:
    """A pass that its sender has marked."""

    id: str
    mark: Mark
    marked_at: float  # by this machine's clock, seconds since 1970

    @property
    def epoch(self) -> int:
        return int(self.id.partition("-")[0])


def pass_id(epoch: int, number: int) -> str:
    return f"{max(epoch, 0):09d}-{number:017d}"


class Inbox:
    """Everything in it was written by another machine: a name or a mark that does not read counts as none, except where
    a pass is to become the state: that it is whole its mark says by being there. A link is nothing.

    So does a pass of another agent's state. A standby that has ended leaves its private address to whoever comes next,
    and an image that several workloads share has the key to all of them.
    """

    def __init__(self, folder: Path, agent: Callable[[], str | None] = UNKNOWN_TERM.agent) -> None:
        """`agent`: whose instance this is; None while that is not known."""
        self.folder, self._agent = folder, agent
        self._first_seen: tuple[str, float] | None = None
        self._most: tuple[str, float] = ("", 0.0)

    def received(self, since: int) -> Received:
        """Ages are taken by this machine's clocks alone. `since`: what is of an epoch before it is never adopted."""
        whole, begun = self._arrived("whole"), self._arrived("begun")
        if whole is not None or begun is not None:
            self._prune()
        if whole is not None and whole.epoch >= since:
            return Received(100.0, whole.mark.position, self._age(whole))
        if begun is not None and begun.epoch >= since:
            return Received(self._progress(begun), None, None)
        return Received(0.0, None, None)

    def _arrived(self, kind: str, unreadable: Mark | None = None) -> Pass | None:
        """The newest one that is there. Of another the mark alone is: it is the state by now, or lies below what was
        mounted since. `unreadable`: what a mark that does not read counts as; None: it counts as none.
        """
        there = set(self._passes())
        for path in reversed(self._marks(kind)):
            found = _read(path, unreadable) if path.stem in there else None
            if found is not None and not self._is_anothers(found):
                return found
        return None

    def _passes(self) -> list[str]:
        """The ids of those that are there."""
        return [path.name for path in self._inside("passes") if path.is_dir()]

    def _inside(self, place: str) -> list[Path]:
        """By name."""
        folder = self.folder / place
        found = [] if folder.is_symlink() else sorted(folder.glob("*"))
        return [path for path in found if _ID.match(path.name) and not path.is_symlink()]

    def _marks(self, kind: str) -> list[Path]:
        return [path for path in self._inside("marks") if path.suffix == f".{kind}"]

    def _is_anothers(self, found: Pass) -> bool:
        return None not in (found.mark.agent, self._agent()) and found.mark.agent != self._agent()

    def path_of(self, pass_id: str) -> Path:
        return self.folder / "passes" / pass_id

    def why_not_swapped(self, state: Path) -> str | None:
        """Why no pass can be renamed into its place; None where one can. The kernel does it within one mount of one
        file system, and of a link it would be the link that goes aside.
        """
        if state.is_symlink():
            return f"it is a symbolic link: state_path is to name the folder itself, {state.resolve()}"
        places = (state, state.parent, self.folder, self.folder / "passes")
        if len({_lies_in(path) for path in places}) == 1:
            return None
        return f"it and {self.folder} have to be folders in one file system, and nothing mounted or bound at either"

    def adopt(self, state: Path, since: int, before: int) -> Pass | None:
        """Put the newest whole pass in the place of the state, if it was made under epoch `since` or later and before
        epoch `before`; None when there is none. Nobody sends to himself: one of epoch `since` is from an instance of
        whose disk this one is an image.
        The former state stays aside: see `former`. `OSError` where it cannot be done.
        """
        whole = self.adoptable(since, before)
        if whole is None:
            return None
        if state.is_symlink():
            raise OSError(f"{state}: {self.why_not_swapped(state)}")
        self._forget_older(whole)
        aside = state.with_name(f"{_aside(state)}{whole.id}")
        if state.exists():
            aside = _free(aside)  # it was cut short here before, and something has made the folder anew
            state.rename(aside)
        try:
            self.path_of(whole.id).rename(state)
        except OSError:  # the inbox lies in another file system
            if aside.exists():
                aside.rename(state)
            raise
        # what is acknowledged from here on lies in it; and it is in its place: a second try would find nothing
        for changed in (state.parent, self.folder / "passes"):
            _keep_names(changed)
        return whole

    def _forget_older(self, whole: Pass) -> None:
        """Where its agent is killed once it is the state, they are not to take its place."""
        for path in self._marks("whole"):
            if path.stem < whole.id and not path.is_dir():  # that is no mark
                path.unlink(missing_ok=True)
        _keep_names(self.folder / "marks")

    def adoptable(self, since: int, before: int) -> Pass | None:
        """What `adopt` would put in place: one before it would lack what was acknowledged since."""
        whole = self._arrived("whole", UNREADABLE)
        return whole if whole is not None and since <= whole.epoch < before else None

    def clear(self, before: int) -> None:
        """Once the newest whole pass from before epoch `before` is the state: delete the others. None can take its
        place any more, and each file of theirs that the workload replaces would stay for as long as it serves here.
        """
        self._delete(lambda name: int(name[1]) < before)

    def finish_clearing(self) -> None:
        """An agent that was killed has left the rest: of a pass that became the state the mark alone is there, and none
        of those that were whole before it.
        """
        marks = map(_read, self._marks("whole"))
        own = [found.id for found in marks if found is not None and not self._is_anothers(found)]
        there = self._passes()
        adopted = list(takewhile(lambda one: one not in there, own))
        if adopted:
            self._delete(lambda name: name[0] <= adopted[-1])

    def _delete(self, is_over: Callable[[re.Match[str]], bool]) -> None:
        """The marks last, and the newest of them after the others: what is left says that there is more to delete."""
        for path in [*self._inside("passes"), *self._inside("marks")]:
            name = _ID.match(path.name)
            if name is not None and is_over(name):
                if path.parent.name == "marks":
                    path.unlink(missing_ok=True)
                else:
                    shutil.rmtree(path, ignore_errors=True)

    def _age(self, whole: Pass) -> float | None:
        """Of its state: how long the copying took, and how long ago it ended, with what this machine slept since. A
        stepped clock does not change it; where it was stepped back before this process saw the mark, nobody knows.
        """
        now = since_boot()
        if self._first_seen is None or self._first_seen[0] != whole.id:
            since = time.time() - whole.marked_at
            if since < -CLOCKS_AGREE_SECONDS:
                return None
            self._first_seen = whole.id, now - max(0.0, since) - max(0.0, whole.mark.seconds)
        return now - self._first_seen[1]

    def _progress(self, begun: Pass) -> float:
        """Never less than before within one pass: rsync writes a file anew that changed under its hands."""
        arrived = min(99.0, 100.0 * size_of(self.path_of(begun.id)) / max(1, begun.mark.bytes))
        known = self._most[1] if self._most[0] == begun.id else 0.0
        self._most = begun.id, max(known, arrived)
        return self._most[1]

    def _prune(self) -> None:
        """All but the last whole passes, the broken ones since, and the one under way; another agent's first of all."""
        there, marks = self._passes(), self._marks("whole")
        marked = {path.stem for path in marks}
        foreign = {found.id for path in marks if (found := _read(path)) and self._is_anothers(found)}
        passes = [name for name in there if name not in foreign]
        whole = [name for name in passes if name in marked][-KEPT_WHOLE:]
        newer = [name for name in passes if not whole or name > whole[-1]][-KEPT_BROKEN - 1 :]
        for name in there:
            if name not in {*whole, *newer}:
                for kind in ("whole", "begun"):
                    (self.folder / "marks" / f"{name}.{kind}").unlink(missing_ok=True)
                shutil.rmtree(self.folder / "passes" / name, ignore_errors=True)


def _keep_names(folder: Path) -> None:
    try:
        sync_names(folder)
    except OSError as error:
        log.warning("names not on the disk", folder=str(folder), because=str(error))


def _lies_in(path: Path) -> tuple[int, int]:
    """File system and mount of it, or of the nearest folder that is there: the rest is made in that."""
    while not path.exists():
        path = path.parent
    handle = os.open(path, os.O_PATH)
    try:
        told = Path(f"/proc/self/fdinfo/{handle}").read_bytes()  # proc(5)
        return os.fstat(handle).st_dev, int(re.findall(rb"^mnt_id:\s*(\d+)$", told, re.MULTILINE)[0])
    finally:
        os.close(handle)


def _aside(state: Path) -> str:
    """How the names begin of what was the state before a pass took its place."""
    return f".{state.name}.before-"


def _free(path: Path) -> Path:
    """The first of its names that nothing has."""
    further = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return next(one for one in chain([path], further) if not one.exists())


def former(state: Path) -> list[Path]:
    """What was the state before, once another is in its place, also where an agent was killed before it had deleted
    that: none of it is ever asked for again.
    """
    if not state.exists():
        return []
    named = [path for path in state.parent.iterdir() if path.name.startswith(_aside(state))]
    return [path for path in named if _OF_A_PASS.fullmatch(path.name.removeprefix(_aside(state)))]


def delete_former(paths: Iterable[Path]) -> None:
    for path in paths:
        if _holds_a_mount(path):
            log.warning("former state not deleted", because=f"something is mounted in {path}")
        else:
            shutil.rmtree(path, ignore_errors=True)


def _holds_a_mount(folder: Path) -> bool:
    """What was mounted inside went aside with it, and deleting would go on into what others share."""
    try:
        return bool(Mounts().inside(folder))
    except OSError:
        return True


def laid(path: Path) -> bytes | None:
    """What another machine wrote: anything but a file of such a size counts as none. `OSError`."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_LAID:
        return None
    return path.read_bytes()


def _read(path: Path, unreadable: Mark | None = None) -> Pass | None:
    if _ID.fullmatch(path.stem) is None:
        return None
    try:
        content = laid(path)
        if content is None:
            return None
        return Pass(path.stem, msgspec.json.decode(content, type=Mark), path.stat().st_mtime)
    except (OSError, msgspec.DecodeError):
        return None if unreadable is None else Pass(path.stem, unreadable, 0.0)
