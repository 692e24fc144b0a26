"""`spotguard server` and `spotguard coordinator`: the control plane in production."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.config import Settings, load_settings, prepare_database_folder

if TYPE_CHECKING:
    from spotguard.compose import ControlPlane

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
    from spotguard.compose import open_control_plane
    from spotguard.telemetry import configure_logging

    settings = load_settings(host=host, port=port, database_url=database_url, log_level=log_level)
    configure_logging(settings.log_level, json_lines=True)
    prepare_database_folder(settings.database_url)
    serve(settings, open_control_plane, with_coordinator=coordinator)


def serve(
    settings: Settings, open_plane: Callable[[Settings], ControlPlane], *, with_coordinator: bool
) -> None:
    """Until SIGINT or SIGTERM."""
    from spotguard.compose import bound, serve_until

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bound(settings.host, settings.port) as listener:  # before the database is touched
        serve_until(open_plane(settings), listener, stop, with_coordinator=with_coordinator)


def coordinator(database_url: DatabaseUrl = None, log_level: LogLevel = None) -> None:
    """Run one more coordinator; any number of them do the work of one."""
    from spotguard.compose import open_control_plane
    from spotguard.telemetry import configure_logging

    settings = load_settings(database_url=database_url, log_level=log_level)
    configure_logging(settings.log_level, json_lines=True)
    prepare_database_folder(settings.database_url)
    coordinate(open_control_plane(settings))


def coordinate(plane: ControlPlane) -> None:
    """Until SIGINT or SIGTERM."""
    from spotguard.compose import coordinator_runner, keep_time

    runner, stop = coordinator_runner(plane), threading.Event()

    def end(*_: object) -> None:
        stop.set()
        runner.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    keep_time(plane, stop)
    runner.run()
