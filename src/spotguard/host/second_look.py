"""What rsync missed of a state that lives: what came into a folder that it had read, out of one that it had not.

A rename gives the file a new change time, and the folder of its new name too. Below a folder that was renamed nothing
has a new time: that it has come where it is its inode says. One that was away and is back has its inode; its own change
time is new, and that of the folder around it. So are those of one that was only filled, beside names that change.
"""

from __future__ import annotations

import os
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spotguard.domain.errors import SyncFailed
from spotguard.host.birth import born_ns
from spotguard.host.known_folders import trace
from spotguard.host.state_folder import inode_of, within
from spotguard.host.sync_memory import STEP_NANOSECONDS

LOOKS = 8
AWAY_TIMES = 2
"""So often what is below a folder that may have been away is sent again. `chmod` gives it the same times as a rename
there and back: who calls it without end would hold every pass up.
"""


@dataclass
class _Seen:
    """`come`: inodes by the names to which they may have come. `stayed`: all others, in 8 bytes each."""

    come: dict[bytes, int] = field(default_factory=dict)
    stayed: array[int] = field(default_factory=lambda: array("q"))
    folders: dict[bytes, int] = field(default_factory=dict)
    # folders that may have been away, and when they themselves and the names in them were changed last
    back: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    # folders that were only filled, or were away besides: their times do not tell
    filled: set[bytes] = field(default_factory=set)


class SecondLook:
    """After rsync has gone through a state: until the pass has all that was there when it began."""

    def __init__(self, state: Path, folders: Mapping[bytes, int], began_ns: int, clock_ns: int) -> None:
        """When the pass began: `folders` as `Look` tells them, `began_ns` by the clock that files' times have,
        `clock_ns` what that showed beyond the monotonic one.
        """
        self._top, self._folders = os.fsencode(state), folders
        self._began_ns = self._since_ns = began_ns
        self._clock_ns, self._looks = clock_ns, 0
        self._stayed: array[int] = array("q")
        self._sent: Mapping[bytes, int] = {}
        self._held: set[int] = set()  # of those that were sent
        self._back: Mapping[bytes, tuple[int, int]] = {}
        self._times_away: Counter[bytes] = Counter()
        self._filled: set[int] = set()  # the traces of such folders
        self._has_renamed = False  # some folder, as far as times and names tell
        self.strayed: set[int] = set()
        """The traces of folders that were there, and by the next look were another, or gone, or may have been so
        meanwhile.
        """

    def lacking(self) -> tuple[bytes, ...]:
        """Names within the state, to be sent before this is asked again; none: the pass is whole.

        First whatever came since the pass began; then only what is older than that, and in it under no name.
        """
        now_ns, seen = self._time(), self._look()
        self._held.update(self._held_since(seen))
        if self._looks == 0:
            self._stayed, lacking = seen.stayed, seen.come
        else:
            lacking = self._not_held(seen.come)
        self._looks += 1
        if lacking and self._looks == LOOKS:
            one = os.fsdecode(within(self._top, min(lacking)))
            raise SyncFailed(
                f"{len(lacking)} files were renamed whenever they were about to be read, as {one!r}"
            )
        self._since_ns, self._folders, self._sent, self._back = now_ns, seen.folders, lacking, seen.back
        return tuple(within(self._top, name) for name in lacking)

    def break_off(self) -> None:
        """The pass is not made whole: only what has `strayed` until now is still to be known."""
        self._time()
        self._look()

    def _look(self) -> _Seen:
        seen = _look(self._top, self._since_ns - STEP_NANOSECONDS, self._folders)
        others = (name for name, inode in self._folders.items() if seen.folders.get(name) != inode)
        self.strayed.update(self._traces({*others, *seen.back}))
        self.strayed.update(self._doubtful(seen))
        return seen

    def _doubtful(self, seen: _Seen) -> Iterable[int]:
        """The traces of folders that were filled, where what was in their place may be one that shows. Else there are
        none: uploads beside a journal would be read with every pass.
        """
        self._filled.update(self._traces(seen.filled))
        come = [name for name, inode in seen.folders.items() if self._folders.get(name) != inode]
        if not self._has_renamed:
            self._has_renamed = bool(seen.back) or not all(map(self._is_younger, come))
        return self._filled if self._has_renamed else self._traces(self._beside(seen, come))

    def _traces(self, names: Iterable[bytes]) -> Iterator[int]:
        """Of folders that were there at the former look."""
        for name in names:
            if name in self._folders:
                yield trace(within(self._top, name), self._folders[name])

    def _beside(self, seen: _Seen, come: Iterable[bytes]) -> Iterator[bytes]:
        """Filled folders around which others came or went: one may have been in the place of the other."""
        gone = self._folders.keys() - seen.folders.keys()
        around = {_folder_of(name) for name in (*come, *gone)}
        return (name for name in seen.filled if _folder_of(name) in around)

    def _held_since(self, seen: _Seen) -> Iterator[int]:
        """Of what was sent since the former look. Below a folder that was away by then another's may have been read."""
        away = self._counted_away(seen.back)
        for name, inode in self._sent.items():
            if _inode_at(name) == inode and away.isdisjoint(_above(name) if away else ()):
                yield inode

    def _counted_away(self, back: Mapping[bytes, tuple[int, int]]) -> set[bytes]:
        """Since the former look. By the last one none: it has `strayed`, and is left to the next pass."""
        if self._looks == LOOKS - 1:
            return set()
        away = {name for name, times in back.items() if _was_away(self._back.get(name), times)}
        counted = {name for name in away if self._times_away[name] < AWAY_TIMES}
        self._times_away.update(counted)
        return counted

    def _not_held(self, come: Mapping[bytes, int]) -> dict[bytes, int]:
        held = self._held.union(set(come.values()).intersection(self._stayed))
        return {
            name: inode for name, inode in come.items() if inode not in held and not self._is_younger(name)
        }

    def _is_younger(self, name: bytes) -> bool:
        """Than the pass: an inode that was freed may be taken anew. Where nobody knows, it counts as older."""
        born = born_ns(name)
        return born is not None and born >= self._began_ns

    def _time(self) -> int:
        now_ns = time.time_ns()
        if now_ns - time.monotonic_ns() < self._clock_ns - STEP_NANOSECONDS:
            raise SyncFailed("the clock was set back during the pass: what was renamed since does not show")
        return now_ns


def _look(top: bytes, since_ns: int, known: Mapping[bytes, int]) -> _Seen:
    """Files are looked at where names have changed since then, and below folders that are not as `known`, or are so
    again.
    """
    seen, waiting = _Seen(), [(top, False, _is_new(top + b"/..", since_ns))]
    while waiting:
        folder, has_come, is_within_new = waiting.pop()
        try:
            with os.scandir(folder) as names:
                entries = list(names)
            # after its names: one that comes between the two makes it new; the state itself may be a link
            found = os.lstat(folder + b"/." if folder == top else folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        seen.folders[folder] = inode_of(found)
        is_new = found.st_ctime_ns >= since_ns
        # a name that is made or removed in it gives it both times: else what grows beside names that change would be
        # read with every pass
        if is_within_new and is_new:
            if found.st_ctime_ns == found.st_mtime_ns:
                seen.filled.add(folder)
            else:
                seen.back[folder] = found.st_ctime_ns, found.st_mtime_ns
        has_come = has_come or folder in seen.back or known.get(folder) != seen.folders[folder]
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, has_come, is_new))
            if has_come or is_new:
                _look_at(entry, seen, since_ns, has_come=has_come)
            else:
                seen.stayed.append(hash((found.st_dev, entry.inode())))
    return seen


def _look_at(entry: os.DirEntry[bytes], seen: _Seen, since_ns: int, *, has_come: bool) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return
    if has_come or found.st_ctime_ns >= since_ns:
        seen.come[entry.path] = inode_of(found)
    else:
        seen.stayed.append(inode_of(found))


def _is_new(folder: bytes, since_ns: int) -> bool:
    try:
        return os.lstat(folder).st_ctime_ns >= since_ns
    except (FileNotFoundError, NotADirectoryError):
        return False


def _was_away(before: tuple[int, int] | None, now: tuple[int, int]) -> bool:
    """Since the former look. One that has other names in it by now counts as not away: that may never end."""
    return before is None or (before[0] != now[0] and before[1] == now[1])


def _above(name: bytes) -> Iterator[bytes]:
    while name := _folder_of(name):
        yield name


def _folder_of(name: bytes) -> bytes:
    return name.rpartition(b"/")[0]


def _inode_at(name: bytes) -> int | None:
    try:
        return inode_of(os.lstat(name))
    except OSError:
        return None
