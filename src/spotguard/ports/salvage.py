"""Looking at a copy of a dead holder's volume from beside the present state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Missing:
    """What the copy has and the present state has not, or has older. `newest_at` None: nothing is missing."""

    files: int
    bytes: int
    newest_at: datetime | None


class Salvage(Protocol):
    """The copy is attached, and made for this alone: its journal is replayed, which writes to it."""

    def compare(self, copy_id: str) -> Missing | None:
        """None while it is being compared: ask again. `SalvageFailed` when it cannot be; then nothing stays mounted."""
