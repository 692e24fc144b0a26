"""Commands: what the server asks an instance to do, once (invariant 5)."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from spotguard.domain.life import Life


class CommandType(StrEnum):
    """The verbs an agent knows."""

    SWITCH = "switch"
    LAUNCH_REPLICA = "launch_replica"
    TERMINATE_INSTANCE = "terminate_instance"
    PROMOTE = "promote"
    RETIRE_REPLICA = "retire_replica"
    DRILL = "drill"
    COMPARE_STATE = "compare_state"


class CommandStatus(StrEnum):
    """Where a command is in its life."""

    PENDING = "pending"
    LEASED = "leased"
    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class CreatedBy(StrEnum):
    """Who asked."""

    USER = "user"
    COORDINATOR = "coordinator"
    ENGINE = "engine"
    SYSTEM = "system"


class Priority(IntEnum):
    """Ruling S2."""

    EMERGENCY = 100
    USER = 75
    ENGINE_URGENT = 50
    ENGINE = 25
    SCHEDULED = 10


OPEN_COMMAND = frozenset({CommandStatus.PENDING, CommandStatus.LEASED})

COMMAND_LIFE = Life(
    "command",
    {
        CommandStatus.PENDING: frozenset(
            {CommandStatus.LEASED, CommandStatus.EXPIRED, CommandStatus.CANCELLED}
        ),
        # leased again: its holder vanished and the lease ran out, or the same instance asks once more
        CommandStatus.LEASED: frozenset(
            {
                CommandStatus.LEASED,
                CommandStatus.COMPLETED,
                CommandStatus.FAILED,
                CommandStatus.REFUSED,
                CommandStatus.EXPIRED,
                CommandStatus.CANCELLED,
            }
        ),
        CommandStatus.COMPLETED: frozenset(),
        CommandStatus.FAILED: frozenset(),
        CommandStatus.REFUSED: frozenset(),
        CommandStatus.EXPIRED: frozenset(),
        CommandStatus.CANCELLED: frozenset(),
    },
)
