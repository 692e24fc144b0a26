"""Small notes between instances, by the way that the passes of the state take: `notes/<name>` in the target's inbox.

rsync writes a file under another name and renames it, so that a note is there whole or not at all.
"""

from __future__ import annotations

from pathlib import Path

from spotguard.domain.errors import SyncFailed
from spotguard.host.inbox import laid
from spotguard.host.sheet import sheet
from spotguard.host.transport import RsyncFailed, RsyncTransport, laid_at, names_kept_in
from spotguard.ports.workload import SyncTarget

WITHIN_SECONDS = 5.0  # who has two minutes left tries again rather than waits
_PARTIAL = 23  # not transferred: rrsync 3.5.0 lets no file be replaced by one of another name
_NOTHING = "/proc/self"  # a folder without any note
_PRIVATE = 0o600  # its copy there gets no more


class Notes:
    """`inbox`: this instance's own, where others lay theirs."""

    def __init__(self, inbox: Path, transport: RsyncTransport) -> None:
        self._folder, self._transport = inbox / "notes", transport

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        """`SyncFailed` when it did not arrive in time. It stays through a power cut of the target: none comes again."""
        folder = f"{self._transport.inbox(target)}/notes"
        try:
            self._lay(folder, name, content)
            self._run(names_kept_in(folder))
        except OSError as error:
            raise SyncFailed(f"the note {name} cannot be written: {error}") from error

    def _lay(self, folder: str, name: str, content: bytes) -> None:
        # by content: two notes of the same second and size are not the same note
        laying = laid_at(f"{folder}/{name}", "--checksum", "--fsync")
        try:
            self._run(laying, content)
        except RsyncFailed as error:
            if error.code != _PARTIAL:
                raise
            self._run(["--delete-missing-args", f"{_NOTHING}/{name}", f"{folder}/"])
            self._run(laying, content)

    def _run(self, arguments: list[str], content: bytes = b"") -> None:
        with sheet(content, _PRIVATE) as given:
            self._transport.run(arguments, given, WITHIN_SECONDS)

    def delivered(self, name: str) -> bytes | None:
        try:
            return laid(self._folder / name)
        except OSError:
            return None
