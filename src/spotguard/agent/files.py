"""The agent's files, which tell damage from content (`ports.checked_lines`).

A `Document` is one JSON value, replaced atomically. A `Journal` grows at its end; a torn last line is the crash that
it was made for, and is cut off before the next line is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from spotguard.ports.checked_lines import Damaged, line_of, value_of
from spotguard.ports.disk import Disk

T = TypeVar("T")


class Document:
    """One JSON value under a name."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self._name = disk, name
        self._owed: Any = None  # what the disk has not taken

    def read(self) -> Any:
        """The value, or None when nothing was ever written; `Damaged` otherwise."""
        content = self._disk.read(self._name)
        return None if content is None else value_of(content.removesuffix(b"\n"))

    def read_as(self, wanted: type[T]) -> T | None:
        """As one of its own; `Damaged` also for what another version wrote and this one does not understand."""
        found = self.read()
        try:
            return None if found is None else msgspec.convert(found, wanted)
        except msgspec.ValidationError as error:
            raise Damaged(f"{self._name} is of another version: {error}") from error

    def read_or(self, default: Any) -> Any:
        """For what can be learnt again: damage counts as absence."""
        try:
            found = self.read()
        except Damaged:
            return default
        return default if found is None else found

    def read_as_or(self, wanted: type[T], default: T) -> T:
        """As `read_or`, of its own kind."""
        try:
            found = self.read_as(wanted)
        except Damaged:
            return default
        return default if found is None else found

    def write(self, value: Any, *, at_any_rate: bool = False) -> None:
        """`at_any_rate`: what the disk does not take is owed to it until the next write, or `settle`."""
        try:
            self._disk.replace(self._name, line_of(value))
        except OSError:
            if not at_any_rate:
                raise
            self._owed = value
        else:
            self._owed = None

    def settle(self) -> None:
        """Nothing is owed when this returns; `OSError` while the disk takes nothing."""
        if self._owed is not None:
            self.write(self._owed)

    def remove(self) -> None:
        self._disk.remove(self._name)


class Journal:
    """Lines in the order in which they were written."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self._name = disk, name
        self._owed: Sequence[Any] | None = None  # what the file has to hold before anything is appended to it
        self.damaged = 0  # lines that could not be believed, the torn last one included

    def read(self) -> list[Any]:
        """Every whole line. Damage is cut out of the file, at once or, on a disk that takes nothing, before what is
        appended next: that has to stand on its own.
        """
        content = self._disk.read(self._name) or b""
        values: list[Any] = []
        lines = content.split(b"\n")
        for line in lines:
            if not line:
                continue
            try:
                values.append(value_of(line))
            except Damaged:
                self.damaged += 1
        if self.damaged or (content and not content.endswith(b"\n")):
            self._owed = tuple(values)
            with suppress(OSError):
                self._settle()
        return values

    def append(self, value: Any) -> None:
        self._settle()
        self._disk.append(self._name, line_of(value))

    def rewrite(self, values: Sequence[Any]) -> None:
        self._disk.replace(self._name, b"".join(line_of(value) for value in values))
        self._owed = None

    def _settle(self) -> None:
        if self._owed is not None:
            self.rewrite(self._owed)
