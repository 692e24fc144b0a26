"""What a volume holds: opaque to EC2, which can only copy it as of one instant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class VolumeContent(Protocol):
    """The content of one volume. A workload writes to it through whatever else it offers."""

    def fork(self) -> VolumeContent:
        """A copy as of now; later writes to either do not show in the other."""


BlankVolume = Callable[[], VolumeContent]


class Nothing:
    """For those who do not care what is on the disks."""

    def fork(self) -> Nothing:
        return self
