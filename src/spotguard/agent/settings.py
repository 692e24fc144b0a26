"""What an agent is told at its start, and the beat that the server gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spotguard import __version__
from spotguard.execution.old_half import Limits

SHORTEST_INTERVAL_SECONDS = 0.2
LONGEST_INTERVAL_SECONDS = 3600  # a server that asks for less contact than this is mistaken


@dataclass(frozen=True)
class AgentSettings:
    """`client_token` enrols an instance on which the user installed the agent; launched ones bring their own."""

    logical_agent_id: str = ""
    client_token: str | None = None
    version: str = __version__
    sync_seconds: float = 10.0  # between the passes to a standby
    highest_lag_seconds: float = 60.0  # a standby whose state is older is out of sync
    expected_flush_seconds: float = 5.0  # until a flush has been measured
    command_wait_seconds: float | None = None  # overrides the server's; 0 polls without waiting
    command_poll_seconds: float = 10.0  # between polls that do not wait
    price_look_seconds: float = 0.0  # at least so long between two looks at prices, where each is dear
    health_seconds: float | None = (
        None  # between the looks that a health endpoint answers from; None: there is none
    )
    has_traffic_script: bool | None = (
        None  # whether a route by script can be moved here; None: nobody has said
    )
    has_probe: bool = False  # else healthy is what runs
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Intervals:
    """Seconds, as the registration's answer gives them."""

    heartbeat_seconds: float = 60.0
    pricing_seconds: float = 60.0
    signal_poll_seconds: float = 1.0
    command_wait_seconds: float = 25.0


def intervals_of(body: Mapping[str, Any]) -> Intervals:
    """The server's beat; what it leaves out keeps its default."""
    usual = Intervals()

    def given(name: str, default: float, lowest: float = SHORTEST_INTERVAL_SECONDS) -> float:
        value = body.get(name)
        if isinstance(value, int | float) and lowest <= value <= LONGEST_INTERVAL_SECONDS:
            return float(value)
        return default

    return Intervals(
        heartbeat_seconds=given("heartbeat_seconds", usual.heartbeat_seconds),
        pricing_seconds=given("pricing_seconds", usual.pricing_seconds),
        signal_poll_seconds=given("signal_poll_seconds", usual.signal_poll_seconds),
        command_wait_seconds=given("command_wait_seconds", usual.command_wait_seconds, 0),
    )
