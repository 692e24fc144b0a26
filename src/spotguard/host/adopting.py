"""A gate that first puts the received state in its place: the newest whole pass, never half of one."""

from __future__ import annotations

from collections.abc import Callable

from spotguard.domain.errors import GateFailed
from spotguard.domain.instances import GateState
from spotguard.ports.workload import Gate


class AdoptingGate:
    """`adopt` runs before the workload starts; on an instance that has received nothing it does nothing."""

    def __init__(self, gate: Gate, adopt: Callable[[int], object]) -> None:
        self._gate, self._adopt = gate, adopt

    def state(self) -> GateState:
        return self._gate.state()

    def open(self, epoch: int, before: Callable[[], None] | None = None) -> None:
        def put_in_place() -> None:
            if before is not None:
                before()
            try:
                self._adopt(epoch)
            except OSError as error:
                raise GateFailed(f"the received state could not be put in place: {error}") from error

        self._gate.open(epoch, put_in_place)

    def close(self) -> None:
        self._gate.close()

    def healthy(self) -> bool:
        return self._gate.healthy()
