"""Where the state lies on an instance, as its machine shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StateSeen:
    """`mounted_at`: the mount point below which it lies. `is_empty`: its folder has nothing but `lost+found`, or is not
    there.
    """

    path: str
    mounted_at: str
    is_empty: bool
