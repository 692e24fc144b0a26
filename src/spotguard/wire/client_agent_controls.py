"""The client API's controls of one agent: what may be ordered now, and why not."""

from __future__ import annotations

from spotguard.wire.client import Given


class Control(Given):
    """`because`: the refusal that the order would meet now; null where it would be taken."""

    allowed: bool
    because: str | None


class AgentControls(Given):
    """`move`: any move by hand; whether a pool may be its target stands with the pool.

    `autonomyAuto`: the level `auto`. `approve` is null while nothing waits for an answer; `promote` has every live
    replica by its id.
    """

    move: Control
    automatic: Control
    manual: Control
    autonomy_auto: Control
    create_replica: Control
    failover_drill: Control
    restore_drill: Control
    delete: Control
    approve: Control | None
    promote: dict[str, Control]
