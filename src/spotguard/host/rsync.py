"""`ports.workload.StateSync` with rsync: every pass goes into a folder of its own, and counts once it is marked whole.

On the target, `passes/<id>/` holds a pass (files that have not changed are hard links to the former one) and
`marks/<id>.begun` (of the first one, whose progress is shown) and `marks/<id>.whole` say what it holds. The latter
goes last: half a pass is never taken for one.
`adopt` swaps the newest whole pass into the place of the state before the workload opens there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spotguard.domain.errors import SyncFailed
from spotguard.host.transport import RsyncTransport, failed
from spotguard.ports.workload import Received, SyncPass, SyncTarget

CLOCK_TICK_MICROSECONDS = 50_000
"""File times are only as fine as the kernel's tick: what was written this shortly before a pass began may be missed."""
AT_ONCE_SECONDS = 0.5  # so long a call waits for rsync; a larger pass is asked after again
KEPT_PASSES = 2  # the newest whole one, and the one that the next is linked to
EVERYTHING = (
    "--archive",
    "--hard-links",
    "--acls",
    "--xattrs",
    "--numeric-ids",
    "--modify-window=-1",  # else a file rewritten within one second, its size unchanged, counts as the same
    "--fsync",  # a mark says that the pass is there, after a crash of the target as well
)
_GONE = 24  # rsync: files vanished while they were read; they belong to the next pass


@dataclass
class _UnderWay:
    """A pass on its way: rsync runs are started one after the other, none is waited for longer than a moment."""

    id: str
    position: int
    size: int
    begun: float
    folder: Path
    stage: int = 0
    process: subprocess.Popen[bytes] | None = None


class RsyncSync:
    """`state` is the folder of the workload's state, `inbox` where passes arrive on a standby."""

    def __init__(self, state: Path, inbox: Path, transport: RsyncTransport) -> None:
        self._state, self._inbox, self._transport = state, inbox, transport
        self._under_way: dict[str, _UnderWay] = {}
        self._former: dict[str, str] = {}

    def can_sync(self) -> bool:
        return True

    def position(self) -> int:
        """Microseconds since 1970 of the newest change in the folder."""
        return max(_changed(path) for path in [self._state, *self._state.rglob("*")])

    def push(self, target: SyncTarget) -> SyncPass | None:
        under_way = self._under_way.get(target.instance_id)
        try:
            if under_way is None:
                under_way = self._begin()
                self._under_way[target.instance_id] = under_way
            if not self._carry_on(under_way, target):
                return None
        except (OSError, SyncFailed) as error:
            self._forget(target)
            raise SyncFailed(f"{target.instance_id}: {error}") from error
        self._former[target.instance_id] = under_way.id
        self._forget(target)
        taken = time.time() - under_way.begun
        return SyncPass(under_way.position, under_way.size, taken, taken)

    def received(self) -> Received:
        whole, begun = self._newest("whole"), self._newest("begun")
        if whole is not None:
            self._prune(whole["id"])
            return Received(100.0, whole["position"], max(0.0, time.time() - whole["as_of"]))
        if begun is None:
            return Received(0.0, None, None)
        arrived = _size(self._inbox / "passes" / begun["id"])
        return Received(min(99.0, 100.0 * arrived / max(1, begun["bytes"])), None, None)

    def adopt(self) -> str | None:
        """Put the newest whole pass in the place of the state; its id, or None when none has arrived."""
        whole = self._newest("whole")
        if whole is None:
            return None
        arrived = self._inbox / "passes" / whole["id"]
        if arrived.exists():
            aside = self._state.with_name(f".{self._state.name}.before-{whole['id']}")
            if self._state.exists():
                self._state.rename(aside)
            arrived.rename(self._state)
            shutil.rmtree(aside, ignore_errors=True)
        return str(whole["id"])

    # the primary's side

    def _begin(self) -> _UnderWay:
        if not self._state.is_dir():
            raise SyncFailed(f"{self._state} is not a folder")
        begun = time.time()
        newest = self.position()
        ticking = begun * 1e6 - newest < CLOCK_TICK_MICROSECONDS
        return _UnderWay(
            id=f"{int(begun * 1e6):017d}",
            position=newest - 1 if ticking else newest,
            size=_size(self._state),
            begun=begun,
            folder=Path(tempfile.mkdtemp(prefix="spotguard-pass-")),
        )

    def _carry_on(self, under_way: _UnderWay, target: SyncTarget) -> bool:
        """True when the mark of the whole pass has arrived. A small pass is carried through at once."""
        until = time.monotonic() + AT_ONCE_SECONDS
        arguments = self._stages(under_way, target)
        while under_way.process is None or _has_ended(under_way, until):
            if under_way.stage == len(arguments):
                return True
            with (under_way.folder / "said").open("wb") as said_to:
                under_way.process = self._transport.start(arguments[under_way.stage], said_to)
        return False

    def _stages(self, under_way: _UnderWay, target: SyncTarget) -> list[list[str]]:
        inbox = self._transport.inbox(target)
        former = self._former.get(target.instance_id)
        link = [f"--link-dest={self._transport.inner(target)}/passes/{former}"] if former else []
        data = [*EVERYTHING, "--mkpath", *link, f"{self._state}/", f"{inbox}/passes/{under_way.id}/"]
        begun = [] if former else [["--mkpath", _mark(under_way, "begun"), f"{inbox}/marks/"]]
        return [*begun, data, ["--mkpath", _mark(under_way, "whole"), f"{inbox}/marks/"]]

    def _forget(self, target: SyncTarget) -> None:
        under_way = self._under_way.pop(target.instance_id, None)
        if under_way is None:
            return
        process = under_way.process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(under_way.folder, ignore_errors=True)

    # the standby's side

    def _newest(self, kind: str) -> dict[str, Any] | None:
        for mark in sorted((self._inbox / "marks").glob(f"*.{kind}"), reverse=True):
            with contextlib.suppress(
                ValueError
            ):  # a mark that does not read counts as none: the one before it does
                return dict(json.loads(mark.read_text()))
        return None

    def _prune(self, newest: str) -> None:
        """Passes older than the last two, and their marks."""
        passes = sorted(p.name for p in (self._inbox / "passes").glob("*") if p.name <= newest)
        for name in passes[:-KEPT_PASSES]:
            for kind in ("whole", "begun"):
                (self._inbox / "marks" / f"{name}.{kind}").unlink(missing_ok=True)
            shutil.rmtree(self._inbox / "passes" / name, ignore_errors=True)


def _has_ended(under_way: _UnderWay, until: float) -> bool:
    """The present run, within its time; the next one may begin. `SyncFailed` when it failed."""
    process = under_way.process
    if process is None:
        return True
    try:
        code = process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    if code not in (0, _GONE):
        raise failed(code, (under_way.folder / "said").read_bytes())
    under_way.process = None
    under_way.stage += 1
    return True


def _mark(under_way: _UnderWay, kind: str) -> str:
    path = under_way.folder / f"{under_way.id}.{kind}"
    told = {
        "id": under_way.id,
        "position": under_way.position,
        "bytes": under_way.size,
        "as_of": under_way.begun,
    }
    path.write_text(json.dumps(told))
    return str(path)


def _changed(path: Path) -> int:
    try:
        return os.lstat(path).st_mtime_ns // 1000
    except FileNotFoundError:  # removed meanwhile: its folder's own time tells
        return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            total += os.lstat(path).st_size
    return total
