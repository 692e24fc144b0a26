"""What a copying instance remembers across restarts of its agent: how far its state had come, what it sent where."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import msgspec

from spotguard.telemetry import get_logger

NEVER = -1  # opened under no epoch that is known
TARGETS = 8  # of so many is remembered what they hold

log = get_logger("sync")


class Sent(msgspec.Struct, frozen=True):
    """Passes that an instance was sent: the newest whole one, and those that broke since.

    `since_ns`: when the oldest of them began, by this machine's clock.
    """

    whole: str | None = None
    broken: tuple[str, ...] = ()
    since_ns: int = 0


class Memory(msgspec.Struct, frozen=True):
    """`position` belongs to the state with this `fingerprint`; `last` numbers the passes."""

    epoch: int = NEVER  # under which the state here was last opened
    fingerprint: str = ""
    position: int = 0
    last: int = 0
    sent: dict[str, Sent] = {}  # by instance


class SyncMemory:
    """Kept beside the inbox, in the state's own file system, so that it goes where the state goes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "memory.json"
        self._known: Memory | None = None
        self._changing = threading.RLock()  # several duties of the agent ask and tell

    @property
    def known(self) -> Memory:
        with self._changing:
            if self._known is None:
                self._known = self._read()
            return self._known

    def keep(self, **changes: object) -> Memory:
        """What cannot be written is still known to this process: a full disk must not keep the state from leaving."""
        with self._changing:
            self._known = msgspec.structs.replace(self.known, **changes)
            try:
                self._write(msgspec.json.encode(self._known))
            except OSError as error:
                log.warning("sync memory not written", because=str(error))
            return self._known

    def sent_to(self, instance_id: str) -> Sent:
        return self.known.sent.get(instance_id, Sent())

    def keep_sent(self, instance_id: str, sent: Sent) -> None:
        with self._changing:
            others = [item for item in self.known.sent.items() if item[0] != instance_id]
            self.keep(sent=dict([*others, (instance_id, sent)][-TARGETS:]))

    def _read(self) -> Memory:
        """What does not read is forgotten: the state's own times are still there."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Memory)
        except FileNotFoundError:
            return Memory()
        except (OSError, msgspec.DecodeError) as error:
            log.warning("sync memory not read", because=str(error))
            return Memory()

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".memory-", delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._path)
