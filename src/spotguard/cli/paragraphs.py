"""Help whose paragraphs fill the terminal: rich keeps the line breaks of a docstring, which are the source's."""

from __future__ import annotations

import inspect

import typer


def fill_paragraphs(app: typer.Typer) -> None:
    """Of every command below it."""
    for command in app.registered_commands:
        told = command.help or inspect.getdoc(command.callback)
        command.help = None if told is None else _filled(told)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            fill_paragraphs(group.typer_instance)


def _filled(told: str) -> str:
    return "\n\n".join(" ".join(one.split()) for one in told.split("\n\n"))
