"""The client's token in a file that was named on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

from spotguard.domain.errors import BadSetting


def token_in(file: str) -> str:
    """`-` is stdin. `BadSetting`, without a word of what stands there, for anything but one token."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise BadSetting(f"--token-file: {file} does not read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"--token-file: {file} does not hold one token") from error
    token = text.strip()
    if not token.isascii() or not token.isprintable() or len(token.split()) != 1:
        raise BadSetting(f"--token-file: {file} does not hold one token")
    return token
