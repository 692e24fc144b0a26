"""Wake-ups in virtual time: what the server tells, the loop hears; other threads may call."""

from __future__ import annotations

from collections import deque


class SimulatedWakeup:
    """Implements `ports.wakeup.Wakeup`; the loop drains it after every action."""

    def __init__(self) -> None:
        self._calls: deque[str | None] = deque()

    def coordinator(self) -> None:
        self._calls.append(None)

    def agent(self, instance_id: str) -> None:
        self._calls.append(instance_id)

    def drain(self) -> tuple[bool, list[str]]:
        """Whether the coordinator was called, and which instances were, each once, in the order of the calls."""
        coordinator = False
        instances: dict[str, None] = {}
        while self._calls:
            call = self._calls.popleft()
            if call is None:
                coordinator = True
            else:
                instances[call] = None
        return coordinator, list(instances)
