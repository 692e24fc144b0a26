"""Who restarts this process when it hangs."""

from __future__ import annotations

from typing import Protocol


class Watchdog(Protocol):
    """Wants to hear `alive` again and again, and ends the process when it does not."""

    def alive(self) -> None: ...
