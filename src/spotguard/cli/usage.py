"""What was typed wrong, as the one line that every other error is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

import typer

WrongUsage: Any = typer.BadParameter.__mro__[
    1
]  # click's UsageError: typer offers it under no name of its own

COMPLETION = ("--install-completion", "--show-completion")
COMPLETED = ("bash", "zsh", "fish", "powershell", "pwsh")  # by typer
ALIKE = 0.7  # jsn and json are, bogus and hours are not


def usage_sentence(error: Any) -> str | None:
    """One line with the command whose help to read; None for the help itself, shown when nothing was typed."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    if type(error).__name__ == "NoSuchOption":
        told = f"{error.message}{_perhaps_meant(error)}"
    else:
        told = error.format_message()
    told = " ".join(told.replace("Value error, ", "").split()).rstrip(".")
    told = told.replace(": dir '", ": folder '")
    if error.ctx is None:
        return told
    _, _, command = error.ctx.command_path.partition(" ")
    return f"{told} (see {' '.join(f'spotguard {command}'.split())} --help)"


def require_alone(words: Sequence[str]) -> None:
    """Typer passes over what stands beside these options, and names no other shell where it does not know this one."""
    for option in takewhile(lambda word: word.startswith("-"), words):
        if option not in COMPLETION:
            continue
        if list(words) != [option]:
            raise WrongUsage(f"{option} takes no other word: it is for the shell in which it is typed")
        if (shell := _shell()) not in COMPLETED:
            raise WrongUsage(
                f"{option} is for {', '.join(COMPLETED)}: type it in one of them, not in {shell}"
            )


def _shell() -> str:
    from shellingham import ShellDetectionFailure, detect_shell

    try:
        return str(detect_shell()[0])
    except ShellDetectionFailure:
        return "none that is known"


def _perhaps_meant(error: Any) -> str:
    """The parser's own proposals resemble what was typed by their dashes alone."""
    typed, group = error.option_name, error.ctx and error.ctx.command
    if any(typed in option.opts for command in _below(group) for option in command.params):
        return ": it belongs behind the command's name"
    names = {name.lstrip("-"): name for name in error.possibilities or ()}
    near = get_close_matches(typed.lstrip("-"), names, cutoff=ALIKE)
    return f", is {' or '.join(names[one] for one in near)} meant?" if near else ""


def _below(command: Any) -> Iterator[Any]:
    for one in getattr(command, "commands", {}).values():
        yield one
        yield from _below(one)
