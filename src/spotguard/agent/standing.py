"""What an agent's own folder says of its work, read from beside it: nothing is changed, and it may be running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from spotguard.agent.handover import Handover
from spotguard.agent.held import Held
from spotguard.agent.outbox import Outbox, pending_in
from spotguard.agent.primacy import Primacy
from spotguard.agent.quiet import Quiet
from spotguard.domain.errors import InvalidInput
from spotguard.execution.move_state import decode
from spotguard.ports.checked_lines import Damaged, value_of

_TWO = "here it would start again at the next boot"


def unfinished(folder: Path) -> tuple[str, ...]:
    """Why an agent that is taken away now would leave something half done, one clause each. Damage tells nothing."""
    return tuple(_reasons(folder))


def _reasons(folder: Path) -> Iterator[str]:
    if _is_moving(folder):
        yield "a move of its workload is under way"
    if (folder / Quiet.NAME).exists():
        yield "its volumes are frozen"
    held = _held(folder)
    if held is not None and held.held is None and held.released:
        yield f"it has let go of epoch {held.released}, so that its workload serves elsewhere: {_TWO}"
    elif held is not None and held.held is None and held.known:
        yield f"epoch {held.known} is granted and not held here, so that its workload serves elsewhere: {_TWO}"
    waiting = len(pending_in(_lines(folder, Outbox.NAME)))
    if waiting:
        yield f"the server has not heard {waiting} of its reports"


def _is_moving(folder: Path) -> bool:
    for stored in _lines(folder, Handover.NAME):
        try:
            return decode(str(stored).encode()).ended is None
        except InvalidInput:
            return False
    return False


def _held(folder: Path) -> Held | None:
    for stored in _lines(folder, Primacy.NAME):
        try:
            return msgspec.convert(stored, Held)
        except msgspec.ValidationError:
            return None
    return None


def _lines(folder: Path, name: str) -> Iterator[Any]:
    path = folder / name
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            if line:
                yield value_of(line)
        except Damaged:  # the torn last one of an agent that writes
            continue
