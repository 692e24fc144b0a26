"""Spans of time as people read them."""

from __future__ import annotations

from datetime import timedelta


def about(age: timedelta) -> str:
    """In the largest unit of which there are two, and never less than none."""
    seconds = max(age.total_seconds(), 0.0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
