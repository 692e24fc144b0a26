"""Looking at a dead holder's volume from beside the present state, read-only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Missing:
    """What the volume has and the present state has not, or has older. `newest_at` None: nothing is missing."""

    files: int
    bytes: int
    newest_at: datetime | None


class Salvage(Protocol):
    """The volume is attached and belongs to nobody: it is never written to, its journal not even replayed."""

    def compare(self, volume_id: str) -> Missing | None:
        """None while it is being compared: ask again. `SalvageFailed` when it cannot be; then nothing stays mounted."""
