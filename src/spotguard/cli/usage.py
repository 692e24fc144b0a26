"""What was typed wrong, as the one line that every other error is."""

from __future__ import annotations

from typing import Any

import typer

WrongUsage: Any = typer.BadParameter.__mro__[
    1
]  # click's UsageError: typer offers it under no name of its own


def usage_sentence(error: Any) -> str | None:
    """One line with the command whose help to read; None for the help itself, shown when nothing was typed."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    told = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    told = told.replace(": dir '", ": folder '")
    if error.ctx is None:
        return told
    _, _, command = error.ctx.command_path.partition(" ")
    return f"{told} (see {' '.join(f'spotguard {command}'.split())} --help)"
