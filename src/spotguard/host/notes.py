"""Small notes between instances, by the way that the passes of the state take: `notes/<name>` in the target's inbox.

rsync writes a file under another name and renames it, so that a note is there whole or not at all.
"""

from __future__ import annotations

from pathlib import Path

from spotguard.domain.errors import SyncFailed
from spotguard.host.inbox import laid
from spotguard.host.sheet import sheet
from spotguard.host.transport import RsyncTransport, laid_at, names_kept_in
from spotguard.ports.workload import SyncTarget

WITHIN_SECONDS = 5.0  # who has two minutes left tries again rather than waits
_PRIVATE = 0o600  # its copy there gets no more


class Notes:
    """`inbox`: this instance's own, where others lay theirs."""

    def __init__(self, inbox: Path, transport: RsyncTransport) -> None:
        self._folder, self._transport = inbox / "notes", transport

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        """`SyncFailed` when it did not arrive in time. It stays through a power cut of the target: none comes again."""
        try:
            with sheet(content, _PRIVATE) as note:
                folder = f"{self._transport.inbox(target)}/notes"
                # by content: two notes of the same second and size are not the same note
                arguments = laid_at(f"{folder}/{name}", "--checksum", "--fsync")
                self._transport.run(arguments, note, WITHIN_SECONDS)
            with sheet(b"", _PRIVATE) as nothing:
                self._transport.run(names_kept_in(folder), nothing, WITHIN_SECONDS)
        except OSError as error:
            raise SyncFailed(f"the note {name} cannot be written: {error}") from error

    def delivered(self, name: str) -> bytes | None:
        try:
            return laid(self._folder / name)
        except OSError:
            return None
