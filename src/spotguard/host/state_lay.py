"""Where a state lies: its mount point, those inside it, and the EBS volumes below, now and as it is remembered."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import msgspec
import msgspec.structs

_NO_TEXT = re.compile("[\udc80-\udcff]")  # what os.fsdecode makes of a byte that is none
_WRITTEN = re.compile("\0([0-9a-f]{2})")


class Lay(msgspec.Struct, frozen=True):
    """The mount point, and the EBS volumes below, as far as they say. `below`: those of its parts, by mount point."""

    point: str
    volumes: tuple[str, ...] = ()
    below: dict[str, tuple[str, ...]] = {}

    def without(self, parts: Collection[str]) -> Lay:
        return msgspec.structs.replace(
            self, below={point: volumes for point, volumes in self.below.items() if point not in parts}
        )

    def spelt(self, name: Callable[[str], str]) -> Lay:
        below = {name(point): volumes for point, volumes in self.below.items()}
        return msgspec.structs.replace(self, point=name(self.point), below=below)


class Kept(msgspec.Struct, frozen=True):
    """What is remembered on this instance of the state at this path. A workload may mount its state when it starts."""

    state: str | None = None
    opened: Lay | None = None  # right before the workload started
    served: Lay | None = None  # while it ran

    @property
    def is_mounted_by_its_start(self) -> bool:
        if self.opened is None or self.served is None:
            return False
        return self.opened.point != self.served.point

    @property
    def parts_of_its_start(self) -> set[str]:
        """Mount points inside the state that were there only while the workload ran."""
        if self.opened is None or self.served is None:
            return set()
        return self.served.below.keys() - self.opened.below.keys()

    def written(self) -> Kept:
        """As JSON takes it."""
        return self._spelt(_written)

    def read(self) -> Kept:
        """Of what was written."""
        return self._spelt(_read)

    def _spelt(self, name: Callable[[str], str]) -> Kept:
        opened, served = (lay and lay.spelt(name) for lay in (self.opened, self.served))
        return msgspec.structs.replace(self, opened=opened, served=served)


def _written(name: str) -> str:
    """A byte that is no text stands behind a NUL, which no name has."""
    return _NO_TEXT.sub(lambda found: f"\0{ord(found[0]) - 0xDC00:02x}", name)


def _read(name: str) -> str:
    return _WRITTEN.sub(lambda found: chr(0xDC00 + int(found[1], 16)), name)


def is_another(here: Lay, known: Lay) -> bool:
    """Both say on which volumes, and have none in common."""
    return bool(here.volumes and known.volumes) and not set(here.volumes) & set(known.volumes)
