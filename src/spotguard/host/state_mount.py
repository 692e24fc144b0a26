"""The state is where it was, or the workload does not open and no pass of it begins.

An empty mount point looks like a state of which everything was deleted, and a dead holder's volume that is attached for
a look (`host.salvage`) has the UUID and the label of the live one: after a reboot either may stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from spotguard.domain.errors import GateFailed, StateMissing
from spotguard.domain.instances import GateState
from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.host.commands import Ran, run
from spotguard.host.disk import FolderDisk
from spotguard.host.mounts import Mounts
from spotguard.ports.workload import STATE_MOUNT, Gate
from spotguard.telemetry import get_logger

MOUNT_SECONDS = 60.0
_SALVAGE = SALVAGE_DEVICE.removeprefix("/dev/")

Run = Callable[[tuple[str, ...], float], Ran]

log = get_logger("state")


class Kept(msgspec.Struct, frozen=True):
    """What is remembered on this instance: mount points of the state, and the volumes that it lay on."""

    opened: str | None = None  # right before the workload started
    passed: str | None = None  # with the last whole pass since
    volumes: tuple[str, ...] = ()


class StateMount:
    """`folder`: the agent's own, where it is remembered as long as this is the same instance."""

    def __init__(self, state: Path, folder: Path, mounts: Mounts | None = None, run: Run = run) -> None:
        self._state, self._folder = state, folder
        self._mounts, self._run = mounts or Mounts(), run

    def require_to_open(self, arrives: Callable[[], bool]) -> None:
        """`GateFailed` where the state is not. `arrives`: a pass was received, and is put in its place now."""
        kept = self._kept()
        wanted = kept.opened or self._mounts.promised_at(self._path, at_boot=True)
        if self._lacks(wanted) and not arrives():
            said = self._run(("mount", str(wanted)), MOUNT_SECONDS).output
            if self._lacks(wanted):
                raise GateFailed(f"{self._not_there(wanted)} (mount: {said.strip()[-200:]})")
        strange = self._strange(kept)
        if strange is not None:
            raise GateFailed(strange)

    def opens(self) -> None:
        """The workload starts with the state that is there now."""
        self._keep(Kept(self._point, None, self._volumes))

    def require_for_pass(self) -> None:
        """`StateMissing` where the state is not, whatever there is in its place."""
        kept = self._kept()
        wanted = kept.passed or kept.opened or self._mounts.promised_at(self._path, at_boot=False)
        if self._lacks(wanted):
            raise StateMissing(f"no pass is sent: {self._not_there(wanted)}")
        strange = self._strange(kept)
        if strange is not None:
            raise StateMissing(f"no pass is sent: {strange}")

    def passed(self) -> None:
        """A whole pass of the state that is there now has arrived."""
        kept = self._kept()
        self._keep(Kept(kept.opened, self._point, self._volumes or kept.volumes))

    @property
    def _path(self) -> Path:
        return self._state.resolve()

    @property
    def _point(self) -> str:
        return self._mounts.point_of(self._path)

    @property
    def _volumes(self) -> tuple[str, ...]:
        return tuple(d.volume_id for d in self._mounts.disks_of(self._point) if d.volume_id is not None)

    def _lacks(self, wanted: str | None) -> bool:
        return wanted is not None and wanted not in self._mounts.now()

    def _not_there(self, wanted: str | None) -> str:
        return (
            f"nothing is mounted at {wanted}, where the state {self._state} lies: mount it; "
            f"{self._if_meant('if the state has moved to another file system')}"
        )

    def _strange(self, kept: Kept) -> str | None:
        """Why what is mounted is not the state's own; None where nothing says so."""
        disks = self._mounts.disks_of(self._point)
        volumes = {disk.volume_id for disk in disks if disk.volume_id is not None}
        if kept.volumes and volumes and not volumes & set(kept.volumes):
            return (
                f"the state {self._state} lies on {', '.join(sorted(volumes))}, and was served from "
                f"{', '.join(kept.volumes)}: mount that (two disks may have the same UUID or label; a disk's id is in "
                f"/dev/disk/by-id); {self._if_meant('if the disk was replaced')}"
            )
        if not kept.volumes and any(disk.attached_as == _SALVAGE for disk in disks):
            return (
                f"the state {self._state} lies on a disk attached as {SALVAGE_DEVICE}, as a dead holder's is for "
                "a look: unmount it, mount the live one, or attach it under another name if it is the live one"
            )
        return None

    def _if_meant(self, why: str) -> str:
        return f"{why}, remove {self._folder / STATE_MOUNT}"

    def _kept(self) -> Kept:
        try:
            return msgspec.json.decode((self._folder / STATE_MOUNT).read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.DecodeError) as error:
            log.warning("not known where the state lay", because=str(error))
            return Kept()

    def _keep(self, kept: Kept) -> None:
        """A full disk must keep neither the workload from opening nor the state from leaving."""
        if kept == self._kept():
            return
        try:
            FolderDisk(self._folder).replace(STATE_MOUNT, msgspec.json.encode(kept))
        except OSError as error:
            log.warning("not written where the state lies", because=str(error))


class MountedGate:
    """A gate that opens on the state's own file system alone. `arrives`: whether a pass comes in its place."""

    def __init__(self, gate: Gate, mount: StateMount, arrives: Callable[[int], bool]) -> None:
        self._gate, self._mount, self._arrives = gate, mount, arrives

    def state(self) -> GateState:
        return self._gate.state()

    def open(self, epoch: int) -> None:
        if self._gate.state() is GateState.OPEN:
            return
        try:
            self._mount.require_to_open(lambda: self._arrives(epoch))
        except OSError as error:
            raise GateFailed(f"it cannot be seen what is mounted: {error}") from error
        self._gate.open(epoch)

    def close(self) -> None:
        self._gate.close()

    def healthy(self) -> bool:
        return self._gate.healthy()
