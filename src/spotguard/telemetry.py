"""Logs: one line per event, structured, on stderr; secrets never reach a formatter."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,  # nobody says so: for whoever looks at outcomes alone
}

_SECRET_NAMES = ("token", "authorization", "password", "secret")
# EC2's client tokens are no secrets, they are how a launch is found again
_PUBLIC_NAMES = frozenset({"client_token", "intention_token"})

Log = structlog.typing.FilteringBoundLogger


def _hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if name not in _PUBLIC_NAMES and any(word in name.lower() for word in _SECRET_NAMES):
            event[name] = "[hidden]"
    return event


def configure_logging(level: str = "info", *, json_lines: bool = False) -> None:
    """Set the process's logging once, at its entry point."""
    renderer = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _hide_secrets,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, logging.INFO)),
        # asked at every line: whoever put another stream in the place of stderr may have closed it since
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _relay_libraries()


class _Relay(logging.Handler):
    """What libraries log, in our form and with our times."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def _relay_libraries() -> None:
    root = logging.getLogger()
    if not any(isinstance(handler, _Relay) for handler in root.handlers):
        root.addHandler(_Relay())


def get_logger(name: str) -> Log:
    log: Log = structlog.get_logger(room=name)
    return log
