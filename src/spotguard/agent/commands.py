"""Duty `commands`: fetch what the server asks of this instance, journal it, hand it to whoever carries it out.

A command takes effect once: delivered again it returns the recorded outcome; expired, stale or unreadable it is
refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from spotguard.agent.backoff import Backoff
from spotguard.agent.command_book import CommandBook
from spotguard.agent.desk import OK, Desk, NotEnrolled
from spotguard.agent.orders import Command, command_of
from spotguard.agent.server_time import told_in
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.errors import InvalidInput, Refused, ServerAway
from spotguard.telemetry import get_logger

POLL_MARGIN_SECONDS = 10.0  # the answer to a long poll may take longer than the wait itself

log = get_logger("agent")

Check = Callable[[Command], None]


class Commands:
    """Polls and dispatches. A check raises `Refused`; what passes is journalled, and the moves duty carries it out."""

    def __init__(self, desk: Desk, book: CommandBook, checks: Mapping[CommandType, Check]) -> None:
        self._desk, self._book, self._checks = desk, book, checks
        self._backoff = Backoff()
        self._version: int | None = None  # of the configuration, as the last poll told

    def run(self, now: datetime) -> datetime | None:
        desk = self._desk
        if not desk.is_enrolled:
            return None  # presence rings when it is
        override = desk.settings.command_wait_seconds
        wait = desk.intervals.command_wait_seconds if override is None else override
        seen = desk.config_version if self._version is None else self._version
        path = f"pending-commands?wait={wait:g}&config_version={seen or 0}"
        try:
            reply = desk.call("GET", path, timeout_seconds=wait + POLL_MARGIN_SECONDS)
        except (ServerAway, NotEnrolled):
            return self._backoff.failed(now)
        if reply.status not in OK:
            log.warning("commands refused", status=reply.status, because=str(reply.body.get("detail", "")))
            return self._backoff.failed(now)
        self._backoff.worked()
        self._notice_version(reply.body)
        arrived = desk.ports.clock.now()
        servers = told_in(reply.body) or desk.server_now(arrived)
        for entry in reply.body.get("commands") or ():
            self._take(entry, servers)
        return arrived + timedelta(seconds=0 if wait else desk.settings.command_poll_seconds)

    def _notice_version(self, body: Mapping[str, Any]) -> None:
        """Who has heard of a version waits for the next one, however long it takes presence to fetch it."""
        version = body.get("config_version")
        self._version = version if isinstance(version, int) else None
        if version is not None and version != self._desk.config_version:
            self._desk.bells.ring("presence")  # which fetches the configuration

    def _take(self, entry: Mapping[str, Any], now: datetime) -> None:
        """`now` by the server's clock, which has also set the command's end."""
        try:
            command = command_of(entry)
        except InvalidInput as error:
            log.error("command unreadable", because=str(error))  # noqa: TRY400 - the cause is the message
            return
        known = self._book.find(command.id)
        if known is not None and known.answer is not None:
            self._book.tell(command.id)
            return
        try:
            if known is None and command.is_over(now):
                raise Refused("it has expired")
            self._checks[command.type](command)
            self._book.begin(command)
            self._desk.bells.ring("moves")
        except (Refused, InvalidInput) as error:
            log.warning("command refused", command=command.id, because=str(error))
            self._book.answer(command, CommandStatus.REFUSED, str(error))
