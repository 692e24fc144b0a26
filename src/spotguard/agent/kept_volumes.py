"""No volume of this instance is deleted with it (ruling B9): asked for and read back, where the agent calls EC2."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from spotguard.agent.desk import Desk
from spotguard.domain.errors import CloudError
from spotguard.ports.cloud import Cloud
from spotguard.telemetry import get_logger

LEAVE_TO_THE_SERVER = timedelta(minutes=5)
"""A server with access to EC2 does this itself, and first notes what the instance's owner had wanted deleted."""

LOOK_AGAIN = timedelta(minutes=1)
STAYS_SO = timedelta(hours=1)  # a volume may be attached later
log = get_logger("agent")


class KeptVolumes:
    """A job of the moves duty; it never looks while a move is open, or under a notice."""

    def __init__(self, desk: Desk, is_busy: Callable[[], bool]) -> None:
        self._desk = desk
        self._is_busy = is_busy
        self._due: datetime | None = None

    def run(self, now: datetime) -> datetime | None:
        cloud = self._desk.ports.cloud
        if cloud is None:
            return None
        if self._due is None:
            self._due = now + LEAVE_TO_THE_SERVER
        if now >= self._due:
            rests = self._is_busy() or self._desk.hands_off or not self._desk.is_enrolled
            self._due = now + (LOOK_AGAIN if rests or not self._are_kept(cloud) else STAYS_SO)
        return self._due

    def _are_kept(self, cloud: Cloud) -> bool:
        """As EC2 shows it; False when it had to be asked for, so that it is read back."""
        own = self._desk.instance_id
        try:
            shown = cloud.describe_instances([own])
            dying = [v.volume_id for view in shown for v in view.volumes if v.delete_on_termination]
            if dying:
                cloud.keep_volumes(own)
        except CloudError as error:
            log.warning("volumes not looked at", instance=own, code=error.code)
            return False
        return bool(shown) and not dying
