"""Text out of plain or gzip files, a piece at a time, in bounded memory whatever the file holds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from spotguard.domain.errors import InvalidInput
from spotguard.market.rows import Progress

LONGEST_LINE = 65_536  # a price line has about 70 characters, a pretty-printed JSON row about 250
MOST_KEPT = 32 << 20  # characters; the on-demand prices of all regions and types are some 2 MiB
_READ = 262_144
_OPENED = 65_536  # zlib keeps back what it opened in the call that fails: damage costs no more than this
_JOINED = 16  # calls to one piece: a gzip bomb opens 1 MiB at a time
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31  # zlib's window bits for a gzip header
_HEADER = 32  # shorter than any header
_BOM = b"\xef\xbb\xbf"


class CutOff(Exception):
    """The file ends, or stops making sense, before its end; what came before is good."""


def text_pieces(path: Path, on_progress: Progress | None = None) -> Iterator[str]:
    """The text in pieces that end at a line's end (only the last may not).

    Raises `InvalidInput` when the file cannot be read at all, `CutOff` when a gzip stream breaks off.
    Bytes that are not UTF-8 become U+FFFD, so that only their own line suffers.
    """
    rest = b""
    for piece in _pieces(path, on_progress):
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield (whole + newline).decode("utf-8", "replace")
        elif len(rest) > LONGEST_LINE:
            yield rest.decode("utf-8", "replace")
            rest = b""
    if rest:
        yield rest.decode("utf-8", "replace")


def small_pieces(path: Path) -> Iterator[str]:
    """The same of a file that is kept whole; `InvalidInput` when it opens to more than any honest one of its kind."""
    read = 0
    for piece in text_pieces(path):
        read += len(piece)
        if read > MOST_KEPT:
            raise InvalidInput(f"{path}: it opens to more than {MOST_KEPT >> 20} MiB")
        yield piece


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number from 1. `InvalidInput` names the line after which a gzip stream breaks off."""
    number = 0
    try:
        for piece in text_pieces(path):
            for line in piece.rstrip("\n").split("\n"):
                number += 1
                yield number, line.rstrip("\r")
    except CutOff as error:
        raise InvalidInput(f"{path.name}, line {number}: {error}") from error


def _pieces(path: Path, on_progress: Progress | None) -> Iterator[bytes]:
    raw = _raw(path, on_progress)
    first = next(raw, b"")
    if not first.startswith(_GZIP_MAGIC):
        if b"\0" in first[:_HEADER]:  # further on it spoils its own line alone
            raise InvalidInput(f"{path}: neither text in UTF-8 nor gzip data")
        yield first.removeprefix(_BOM)
        yield from raw
        return
    inflated = _joined(_inflate(first, raw))
    yield next(inflated, b"").removeprefix(_BOM)
    yield from inflated


def _joined(opened: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    try:
        for piece in opened:
            held.append(piece)
            if len(held) == _JOINED:
                yield b"".join(held)
                held.clear()
    except CutOff:
        yield b"".join(held)
        raise
    yield b"".join(held)


def _raw(path: Path, on_progress: Progress | None) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            total, done = path.stat().st_size, 0
            while piece := file.read(_READ):
                done += len(piece)
                yield piece
                if on_progress is not None:
                    on_progress(done, total)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error


def _inflate(first: bytes, more: Iterator[bytes]) -> Iterator[bytes]:
    """Every member of a gzip file, as `cat a.gz b.gz` makes them."""
    waiting, stream = first, zlib.decompressobj(_GZIP)
    while waiting or (waiting := next(more, b"")):
        try:
            opened = stream.decompress(waiting, _OPENED)
        except zlib.error as error:
            raise CutOff(f"damaged gzip data ({error})") from error
        if opened:
            yield opened
        waiting = stream.unconsumed_tail
        if stream.eof:
            waiting = stream.unused_data.lstrip(b"\0")  # tape padding is legal
            if not waiting and not (waiting := next(more, b"").lstrip(b"\0")):
                return
            stream = zlib.decompressobj(_GZIP)
    raise CutOff("the gzip data break off")
