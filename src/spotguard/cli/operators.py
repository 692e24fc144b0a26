"""Who types: for what is written down with a name beside it."""

from __future__ import annotations

import getpass
import os


def user() -> str:
    """The user of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody of that number is known to the machine
        return f"user {os.getuid()}"
