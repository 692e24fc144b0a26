"""No state sync: for workloads whose state moves with a volume or an image, or that have none."""

from __future__ import annotations

from collections.abc import Collection

from spotguard.domain.errors import SyncFailed
from spotguard.ports.workload import Received, SyncPass, SyncTarget


class NoSync:
    """Implements `ports.workload.StateSync` by saying truthfully that nothing is copied."""

    def delivers_notes(self) -> bool:
        return False

    def can_sync(self) -> bool:
        return False

    def position(self) -> int:
        return 0

    def push(self, target: SyncTarget) -> SyncPass | None:
        raise SyncFailed("no state sync is configured on this instance: name state_path in its settings")

    def keep_only(self, instance_ids: Collection[str]) -> None:
        """Nothing is ever under way."""

    def received(self) -> Received:
        return Received(progress_percent=0.0, position=None, lag_seconds=None)

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        raise SyncFailed("no state sync is configured on this instance: name state_path in its settings")

    def delivered(self, name: str) -> bytes | None:
        return None
