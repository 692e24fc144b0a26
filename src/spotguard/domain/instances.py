"""EC2 instances: their states as EC2 tells them, their market, their role for a workload."""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.errors import InvalidInput
from spotguard.domain.life import Life


class Mode(StrEnum):
    """The market an instance was bought in."""

    SPOT = "spot"
    ONDEMAND = "ondemand"


class InstanceState(StrEnum):
    """EC2's own states."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"


class Role(StrEnum):
    """What an instance is for its logical agent. Only the holder of the current epoch is primary."""

    PRIMARY = "primary"
    SUCCESSOR = "successor"  # launched by an open switch
    STANDBY = "standby"  # launched for a replica row
    PASSIVE = "passive"  # a clone, or one whose time is over: serves nothing


class GateState(StrEnum):
    """Whether the user's workload runs and is reachable on an instance."""

    OPEN = "open"
    CLOSED = "closed"


class EndReason(StrEnum):
    """Why an instance ended: AWS took it (spot interruption) or somebody asked for it."""

    INTERRUPTED = "interrupted"
    REQUESTED = "requested"


INSTANCE_LIFE = Life(
    "instance",
    {
        InstanceState.PENDING: frozenset(
            {InstanceState.RUNNING, InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED}
        ),
        InstanceState.RUNNING: frozenset(
            {
                InstanceState.STOPPING,
                InstanceState.STOPPED,
                InstanceState.SHUTTING_DOWN,
                InstanceState.TERMINATED,
            }
        ),
        InstanceState.STOPPING: frozenset(
            {InstanceState.STOPPED, InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED}
        ),
        InstanceState.STOPPED: frozenset(
            {InstanceState.PENDING, InstanceState.RUNNING, InstanceState.TERMINATED}
        ),
        InstanceState.SHUTTING_DOWN: frozenset({InstanceState.TERMINATED}),
        InstanceState.TERMINATED: frozenset(),
    },
)


def is_proof_of_death(state: InstanceState, mode: Mode, *, hibernates: bool | None) -> bool:
    """Ruling B4: terminated, or stopped if on-demand. `stopping` and `shutting-down` prove nothing.

    A stopped one comes up closed, since its start is a boot. Where hibernation is configured (`hibernates`; None:
    unknown) its start may give its processes back their memory, and the workload serves on at once under its old epoch
    (EC2 User Guide, "Hibernate your Amazon EC2 instance").
    """
    boots = state is InstanceState.STOPPED and mode is Mode.ONDEMAND and hibernates is False
    return state is InstanceState.TERMINATED or boots


def parse_mode(text: str) -> Mode:
    """The market under its one name; `on-demand` is accepted here and nowhere else."""
    try:
        return Mode("ondemand" if text == "on-demand" else text)
    except ValueError as error:
        raise InvalidInput(f"unknown mode: {text[:40]!r}") from error
