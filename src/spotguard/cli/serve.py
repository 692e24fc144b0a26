"""`spotguard server` and `spotguard coordinator`: the control plane in production."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from spotguard.config import load_settings, prepare_database_folder

DatabaseUrl = Annotated[str | None, typer.Option(help="SQLite file or MySQL/MariaDB; see docs/settings.md")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error")]


def server(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="port to listen on; 0 takes a free one")
    ] = None,
    database_url: DatabaseUrl = None,
    coordinator: Annotated[bool, typer.Option(help="run a coordinator in this process too")] = True,
    log_level: LogLevel = None,
) -> None:
    """Run the API, and a coordinator unless told not to. Ctrl-C ends it cleanly."""
    from spotguard.compose import bound, open_control_plane, serve_until
    from spotguard.telemetry import configure_logging

    settings = load_settings(host=host, port=port, database_url=database_url, log_level=log_level)
    configure_logging(settings.log_level, json_lines=True)
    prepare_database_folder(settings.database_url)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bound(settings.host, settings.port) as listener:  # before the database is touched
        serve_until(open_control_plane(settings), listener, stop, with_coordinator=coordinator)


def coordinator(database_url: DatabaseUrl = None, log_level: LogLevel = None) -> None:
    """Run one more coordinator; any number of them do the work of one."""
    from spotguard.compose import coordinator_runner, open_control_plane
    from spotguard.telemetry import configure_logging

    settings = load_settings(database_url=database_url, log_level=log_level)
    configure_logging(settings.log_level, json_lines=True)
    prepare_database_folder(settings.database_url)
    runner = coordinator_runner(open_control_plane(settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: runner.stop())
    runner.run()
