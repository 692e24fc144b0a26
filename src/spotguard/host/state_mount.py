"""The state is where it was, or the workload does not open and no pass of it begins.

An empty mount point looks like a state of which everything was deleted, and a dead holder's volume that a person
attaches, or its copy (`host.salvage`), has the UUID and the label of the live one: after a reboot either may stand in
its place. The same goes for each part of the state that is a file system of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import msgspec.structs

from spotguard.domain.errors import GateFailed, StartFailed, StateMissing
from spotguard.domain.instances import GateState
from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.host.commands import Ran, run
from spotguard.host.disk import FolderDisk
from spotguard.host.mounts import Mounts, readable
from spotguard.host.state_lay import Kept, Lay, is_another
from spotguard.ports.checked_lines import Damaged, line_of, value_of
from spotguard.ports.state import StateSeen
from spotguard.ports.workload import STATE_MOUNT, Gate
from spotguard.telemetry import get_logger

MOUNT_SECONDS = 60.0
_SALVAGE = SALVAGE_DEVICE.removeprefix("/dev/")

Run = Callable[[tuple[str, ...], float], Ran]

log = get_logger("state")


class StateMount:
    """`folder`: the agent's own, where it is remembered as long as this is the same instance."""

    def __init__(self, state: Path, folder: Path, mounts: Mounts | None = None, run: Run = run) -> None:
        self._state, self._folder = state, folder
        self._mounts, self._run = mounts or Mounts(), run

    def require_to_open(self, arrives: Callable[[], bool]) -> None:
        """`GateFailed` where the state is not. `arrives`: a pass was received, and is put in its place now."""
        kept = self._kept()
        if self._is_lost() and not arrives():
            raise GateFailed(self._unreadable)
        promised = self._mounts.promised_at(self._path, at_boot=True)
        wanted = promised
        if kept.opened is not None and not kept.is_mounted_by_its_start:
            wanted = kept.opened.point
        known = () if self._is_left_to_the_start(kept, promised) else (kept.opened, kept.served)
        missing = [point for point in (wanted, *self._parts(kept.opened, at_boot=True)) if self._lacks(point)]
        if missing and arrives():
            known = ()
        else:
            for point in missing:
                self._mount(point)
        strange = self._strange(known)
        if strange is not None:
            raise GateFailed(strange)

    def opens(self, *, arrived: bool) -> None:
        """The workload is to start with the state that is there now. `arrived`: a pass has just been put there."""
        kept = self._kept()
        if arrived or not kept.is_mounted_by_its_start:  # else it may be mounted still, and not after a boot
            lay = self._lay
            if not arrived:
                lay = lay.without(kept.parts_of_its_start)
            self._keep(Kept(str(self._state), lay, None if arrived else kept.served))

    def opened(self) -> None:
        """It has started: what lay elsewhere until then it has mounted itself, unless it has failed to."""
        kept, lay = self._kept(), self._lay
        if kept.served is None or not (self._is_short_of(kept.served) or is_another(lay, kept.served)):
            self._keep(msgspec.structs.replace(kept, state=str(self._state), served=lay))

    def is_there(self) -> bool:
        """Where it was served from something is mounted."""
        served = self._kept().served
        return served is not None and not self._is_short_of(served)

    def closed(self) -> None:
        """It ran on a state that was there, and has stopped: who unmounts it then mounts it at its start."""
        kept = self._kept()
        if kept.served is not None and (kept.opened is None or self._is_short_of(kept.served)):
            self._keep(msgspec.structs.replace(kept, opened=self._lay))

    def require_for_pass(self) -> None:
        """`StateMissing` where the state is not, whatever there is in its place."""
        because = self._why_missing()
        if because is not None:
            raise StateMissing(f"no pass is sent: {because}")

    def why_missing(self) -> str | None:
        """As `require_for_pass`; what cannot be seen is not known to be there."""
        try:
            return self._why_missing()
        except OSError as error:
            return f"it cannot be seen what is mounted: {error}"

    def _why_missing(self) -> str | None:
        kept = self._kept()
        if self._is_lost():
            return self._unreadable
        known = kept.served or kept.opened
        wanted = self._mounts.promised_at(self._path, at_boot=False) if known is None else known.point
        for point in (wanted, *self._parts(known, at_boot=False)):
            if self._lacks(point):
                return self._not_there(point)
        mounts_itself = kept.served is None and known is not None and known.point != self._point
        return self._strange(() if mounts_itself else (known,))

    def passed(self) -> None:
        """A whole pass of the state that is there now has arrived."""
        kept, lay = self._kept(), self._lay
        if not lay.volumes and kept.served is not None:
            lay = msgspec.structs.replace(lay, volumes=kept.served.volumes)
        self._keep(msgspec.structs.replace(kept, state=str(self._state), served=lay))

    def is_on_root(self) -> bool | None:
        """Whether it lies on the disk that the machine boots from: no volume that is carried elsewhere takes it along.
        None where that cannot be seen now.
        """
        try:
            point = self._seen_point()
            here, root = ({disk.name for disk in self._mounts.disks_of(at)} for at in (point or "/", "/"))
        except OSError:
            return None
        if point is None or point == "/":
            return None if point is None else True
        return bool(here & root) if here and root else None

    def carried_by(self) -> tuple[str, ...] | None:
        """All EBS volumes on which it and its parts lie; none where something of it lies elsewhere. None where that
        cannot be seen now.
        """
        try:
            point = self._seen_point()
            if point is None:
                return None
            below = [self._mounts.disks_of(at) for at in (point, *self._mounts.below(self._path))]
        except OSError:
            return None
        found = {disk.volume_id for disks in below for disk in disks}
        known = {volume for volume in found if volume is not None}
        return tuple(sorted(known)) if below[0] and found == known else ()

    def seen(self) -> StateSeen | None:
        """What there is now. None where that cannot be seen."""
        try:
            names = {path.name for path in self._path.iterdir()} if self._path.is_dir() else set()
            return StateSeen(str(self._state), readable(self._point), not names - {"lost+found"})
        except OSError:
            return None

    def _seen_point(self) -> str | None:
        """Below which it lies; None where something that belongs there is not mounted now."""
        kept = self._kept()
        known = kept.served or kept.opened
        if known is not None and self._is_short_of(known):
            return None
        point, promised = self._point, self._mounts.promised_at(self._path, at_boot=False)
        return None if point == "/" and promised is not None else point

    @property
    def _path(self) -> Path:
        return self._state.resolve()

    @property
    def _point(self) -> str:
        return self._mounts.point_of(self._path)

    @property
    def _lay(self) -> Lay:
        point = self._point
        below = {part: self._volumes_of(part) for part in self._mounts.below(self._path)}
        return Lay(point, self._volumes_of(point), below)

    def _volumes_of(self, point: str) -> tuple[str, ...]:
        disks = self._mounts.disks_of(point)
        return tuple(disk.volume_id for disk in disks if disk.volume_id is not None)

    def _parts(self, known: Lay | None, *, at_boot: bool) -> list[str]:
        """Mount points inside the state that have to be there."""
        return (
            self._mounts.promised_below(self._path, at_boot=at_boot) if known is None else list(known.below)
        )

    def _is_short_of(self, lay: Lay) -> bool:
        return any(self._lacks(point) for point in (lay.point, *lay.below))

    def _is_left_to_the_start(self, kept: Kept, promised: str | None) -> bool:
        """Nobody has seen it start, and fstab names where it lay with `noauto`."""
        if kept.opened is not None or kept.served is None or promised is not None:
            return False
        noauto = self._mounts.promised_at(self._path, at_boot=False)
        return noauto == kept.served.point and self._lacks(noauto)

    def _mount(self, wanted: str | None) -> None:
        said = self._run(("mount", str(wanted)), MOUNT_SECONDS).output
        if self._lacks(wanted):
            raise GateFailed(f"{self._not_there(wanted)} (mount: {said.strip()[-200:]})")

    def _lacks(self, wanted: str | None) -> bool:
        return wanted is not None and wanted not in self._mounts.now()

    def _not_there(self, wanted: str | None) -> str:
        what = self._what_is_at(str(wanted))
        return (
            f"nothing is mounted at {readable(str(wanted))}, where {what} lies: mount it; "
            f"{self._if_meant('if it has moved to another file system')}"
        )

    def _what_is_at(self, point: str) -> str:
        is_part = self._path in Path(point).parents
        return f"a part of the state {self._state}" if is_part else f"the state {self._state}"

    def _strange(self, known: Iterable[Lay | None]) -> str | None:
        """Why what is mounted is not the state's own; None where nothing says so."""
        lays = [lay for lay in known if lay is not None]
        here = self._lay
        points = [(here.point, here.volumes, [lay.volumes for lay in lays])]
        points += [(at, now, [lay.below.get(at, ()) for lay in lays]) for at, now in here.below.items()]
        return next(filter(None, (self._strange_at(*point) for point in points)), None)

    def _strange_at(self, point: str, here: tuple[str, ...], known: Iterable[tuple[str, ...]]) -> str | None:
        were, what = [volumes for volumes in known if volumes], self._what_is_at(point)
        if were and here and all(not set(here) & set(volumes) for volumes in were):
            was = sorted({volume for volumes in were for volume in volumes})
            return (
                f"{what} lies on {', '.join(sorted(here))}, and was served from "
                f"{', '.join(was)}: mount that (two disks may have the same UUID or label; a disk's id is in "
                f"/dev/disk/by-id); {self._if_meant('if the disk was replaced')}"
            )
        if not were and any(disk.attached_as == _SALVAGE for disk in self._mounts.disks_of(point)):
            return (
                f"{what} lies on a disk attached as {SALVAGE_DEVICE}, as a dead holder's is for "
                "a look: unmount it, mount the live one, or attach it under another name if it is the live one"
            )
        return None

    def _if_meant(self, why: str) -> str:
        return f"{why}, remove {self._folder / STATE_MOUNT}"

    @property
    def _unreadable(self) -> str:
        file = self._folder / STATE_MOUNT
        return f"{file}, which says where the state {self._state} lies, is damaged: see that it is there, and remove it"

    def _is_lost(self) -> bool:
        """Where it lay is not known any more, and nothing is mounted that could be it."""
        try:
            self._read()
        except (OSError, Damaged, msgspec.DecodeError, msgspec.ValidationError):
            return self._point == "/"
        return False

    def _read(self) -> Kept:
        """An agent before an upgrade has written it without a checksum: no line with one begins like it."""
        try:
            content = (self._folder / STATE_MOUNT).read_bytes()
        except FileNotFoundError:
            return Kept()
        if content.startswith(b"{"):
            return msgspec.json.decode(content, type=Kept)
        return msgspec.convert(value_of(content.removesuffix(b"\n")), Kept).read()

    def _kept(self) -> Kept:
        try:
            kept = self._read()
        except (OSError, Damaged, msgspec.DecodeError, msgspec.ValidationError) as error:
            log.warning("not known where the state lay", because=str(error))
            return Kept()
        return kept if kept.state == str(self._state) else Kept()

    def _keep(self, kept: Kept) -> None:
        """A full disk must keep neither the workload from opening nor the state from leaving."""
        if kept == self._kept():
            return
        try:
            FolderDisk(self._folder).replace(STATE_MOUNT, line_of(kept.written()))
        except OSError as error:
            log.warning("not written where the state lies", because=str(error))


class MountedGate:
    """A gate that opens on the state's own file system alone. `arrives`: whether a pass comes in its place."""

    def __init__(self, gate: Gate, mount: StateMount, arrives: Callable[[int], bool]) -> None:
        self._gate, self._mount, self._arrives = gate, mount, arrives
        self._is_opening = False

    def state(self) -> GateState:
        return self._gate.state()

    def open(self, epoch: int, before: Callable[[], None] | None = None) -> None:
        def require_mounted() -> None:
            if before is not None:
                before()
            try:
                self._mount.require_to_open(lambda: self._arrives(epoch))
            except OSError as error:
                raise GateFailed(f"it cannot be seen what is mounted: {error}") from error
            self._is_opening = True

        try:
            self._gate.open(epoch, require_mounted)
        except StartFailed:
            raise  # it may come up yet
        except GateFailed:
            self._is_opening = False
            raise
        if self._is_opening:
            self._is_opening = False
            self._note(self._mount.opened)

    def close(self) -> None:
        ran_on_it = self._runs_on_it()
        self._gate.close()
        if ran_on_it:
            self._note(self._mount.closed)

    def _runs_on_it(self) -> bool:
        try:
            return self._gate.state() is GateState.OPEN and self._mount.is_there()
        except (GateFailed, OSError):
            return False

    def _note(self, what: Callable[[], None]) -> None:
        """The gate has moved, whatever can be seen of the disks."""
        try:
            what()
        except OSError as error:
            log.warning("not seen where the state lies", because=str(error))

    def healthy(self) -> bool:
        return self._gate.healthy()
