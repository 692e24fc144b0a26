"""Room that is kept for the day on which the disk is full: a release that cannot be written hands nothing over."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

PIECES = 8
PIECE_BYTES = 65_536
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PRIVATE = 0o600


class Reserve:
    """Files of no content, given up one after the other: who has filled the disk writes on, and would take what is
    left of a single one before we could.
    """

    def __init__(self, folder: Path) -> None:
        self._pieces = [folder / f".reserve-{number}" for number in range(PIECES)]

    def make_room_for(self, write: Callable[[], None]) -> None:
        """`write`, again with every piece that is given up for it. What finds no room then raises its `OSError`."""
        while True:
            try:
                return write()
            except OSError as error:
                if error.errno not in _FULL or not self._give_one_up():
                    raise

    def fill(self) -> None:
        """As far as there is room, and where the file system can promise any."""
        for piece in self._pieces:
            if not piece.exists() and not _allocated(piece):
                return

    def _give_one_up(self) -> bool:
        for piece in self._pieces:
            try:
                piece.unlink()
            except FileNotFoundError:
                continue
            return True
        return False


def _allocated(piece: Path) -> bool:
    try:
        handle = os.open(piece, os.O_WRONLY | os.O_CREAT, _PRIVATE)
        try:
            os.posix_fallocate(handle, 0, PIECE_BYTES)
        finally:
            os.close(handle)
    except OSError:
        piece.unlink(missing_ok=True)
        return False
    return True
