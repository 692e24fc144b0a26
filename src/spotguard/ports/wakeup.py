"""Waking early is a courtesy; the pass is the promise."""

from __future__ import annotations

from typing import Protocol


class Wakeup(Protocol):
    """Tells whoever waits that something may be new. Losing a call costs time, never correctness."""

    def coordinator(self) -> None:
        """A signal, a toggle, a release, a report: look now, not at the next pass."""

    def agent(self, instance_id: str) -> None:
        """There is a command for this instance."""
