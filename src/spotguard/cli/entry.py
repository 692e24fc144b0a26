"""Where the `spotguard` script begins: whoever interrupts it while it loads is answered as at any other time."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    try:
        from spotguard.cli.main import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
