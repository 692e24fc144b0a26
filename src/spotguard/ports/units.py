"""The service manager, as far as enrolling a machine needs it."""

from __future__ import annotations

from typing import Protocol


class Units(Protocol):
    """What stands in files (units, and the links that start them at boot) is read and written there, not here.

    `GateFailed` when the manager refuses or does not answer.
    """

    def triggered_by(self, unit: str) -> tuple[str, ...]:
        """Sockets, timers and paths that start it."""
        ...

    def stopped_with(self, unit: str) -> tuple[str, ...]:
        """The units that it stops with this one, and with these, and so on."""
        ...

    def reload(self) -> None:
        """Read the files again."""
        ...

    def start(self, unit: str) -> None:
        """Also of one that runs: it is started anew, with what its file says now."""
        ...

    def stop(self, unit: str) -> None:
        """Returns when it has ended; of one that does not run or is not known, nothing happens."""
        ...

    def runs(self, unit: str) -> bool: ...
