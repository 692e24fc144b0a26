"""A folder that survives a crash of the process: the agent's identity and journal live here."""

from __future__ import annotations

from typing import Protocol


class Disk(Protocol):
    """Small named files. A write has reached the disk when the call returns; a crash leaves the old or the new."""

    def read(self, name: str) -> bytes | None:
        """The content, or None when there is no such file."""

    def replace(self, name: str, content: bytes) -> None:
        """Atomically the new content."""

    def append(self, name: str, line: bytes) -> None:
        """Add at the end; a crash may leave a torn last line, never damage an earlier one."""

    def remove(self, name: str) -> None:
        """Gone; absent already is harmless."""
