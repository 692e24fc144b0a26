"""What the API is told at its composition."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spotguard.api.limiting import RateLimits
from spotguard.domain.agents import Autonomy
from spotguard.domain.models import STALE_DAYS
from spotguard.wire.agent import Intervals


@dataclass(frozen=True)
class ApiSettings:
    """Defaults are production's; demo and simulation start new agents in `auto` (ruling B17)."""

    new_agent_autonomy: Autonomy = Autonomy.OBSERVE
    intervals: Intervals = field(default_factory=lambda: Intervals(60, 60, 1, 25))
    lease_seconds: float = 60
    commands_at_once: int = 10
    max_waiters: int = 2000  # long polls at once in this process
    max_streams: int = 200  # event streams at once in this process
    max_streams_of_a_client: int = 50  # of these, so that no tenant leaves the others none
    stream_poll_seconds: float = 1
    stream_keep_alive_seconds: float = 15
    stream_seconds: float = 3600  # then it ends, and the reader resumes by Last-Event-ID
    body_seconds: float = 20  # for a body that arrives in pieces
    max_body_bytes: int = 256 * 1024
    session_seconds: float = 12 * 3600  # of people's time
    clock_rate: float = 1  # seconds of the API's clock in one of people's: a simulation's goes faster
    is_public_https: bool = False  # people reach it by HTTPS, even if TLS ends before this process
    notice: str = ""  # shown on the page, above every figure
    rate_limits: RateLimits | None = field(default_factory=RateLimits)
    model_folder: Path | None = None  # None: learned models are not read
    model_stale_days: int = STALE_DAYS

    @property
    def auto_needs_drill(self) -> bool:
        """Where new agents start in `auto`, nobody is asked for a drill first."""
        return self.new_agent_autonomy is not Autonomy.AUTO
