"""`ports.watchdog.Watchdog` by systemd (sd_notify(3)); where systemd does not watch, nothing is said."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from systemd_watchdog.systemd_watchdog import WatchDog


class SystemdWatchdog:
    """Speaks to the socket that systemd named in the environment."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd = WatchDog(self._socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def alive(self) -> None:
        """A manager that cannot be reached is not told: it ends us soon enough if it is there."""
        try:
            self._systemd.notify()
        except OSError:
            return
