"""Which faults a schedule has: drawn by its seed alone, so that it replays bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from spotguard.simulation.fault_kinds import Fault, FaultKind

HOURS = 6.0
OTHERWISE = 0.3  # share of those that come in another form
_OTHERWISE = {
    FaultKind.STOP_AND_START: FaultKind.HIBERNATES,  # its memory is kept
    FaultKind.TORN_JOURNAL: FaultKind.DISK_ROTS,  # of any file
    FaultKind.AGENT_FROZEN: FaultKind.HANGS,  # and its machine with it
    FaultKind.TOGGLES: FaultKind.ANSWERS,
    FaultKind.FORCED_MOVE: FaultKind.PROBES,
}
_DRAWN = tuple(kind for kind in FaultKind if kind not in _OTHERWISE.values())
_LONGEST_SECONDS = 1800.0

_MILD = frozenset(
    {
        FaultKind.CALLS_DOUBLED,
        FaultKind.AGENT_SLOW,
        FaultKind.DATABASE_DEADLOCKS,
        FaultKind.EC2_THROTTLES,
        FaultKind.EC2_QUOTA,
        FaultKind.EC2_COPY_FAILS,
        FaultKind.IMDS_UNAUTHORIZED,
        FaultKind.IMDS_THROTTLED,
        FaultKind.IMDS_TOKENS_FORGOTTEN,
        FaultKind.NOTICE_WITH_REBALANCE,
        FaultKind.RESTORE_DRILL,
        FaultKind.ONE_ZONE,
        FaultKind.POISONED_PRICES,
        FaultKind.GARBAGE_REPORTS,
    }
)
"""What only delays or is only refused: nobody ends, is cut off or is moved by it."""


@dataclass(frozen=True)
class Temper:
    """How dense and how grave. `dice`: names the dice of its own. `together`: the share of the faults that strike
    within minutes of the one before. `otherwise`: the form in which some of a kind come.
    """

    name: str
    dice: str
    fewest: int
    most: int
    together: float
    kinds: tuple[FaultKind, ...]
    otherwise: Mapping[FaultKind, FaultKind] = field(default_factory=lambda: _OTHERWISE)


ORDINARY = Temper("ordinary", "schedule", 8, 24, 0.5, _DRAWN)
HARSH = Temper("harsh", "harsh", 16, 40, 0.7, tuple(kind for kind in _DRAWN if kind not in _MILD))


def schedule_of(
    seed: int, agents: Sequence[str], hours: float = HOURS, *, temper: Temper = ORDINARY
) -> tuple[Fault, ...]:
    """At least eight faults. Half of them come soon after another: in the middle of what that one began."""
    dice = Random(f"{temper.dice}:{seed}")
    faults: list[Fault] = []
    for _ in range(dice.randint(temper.fewest, temper.most)):
        if faults and dice.random() < temper.together:
            near = dice.choice(faults)
            at, agent = near.at_seconds + dice.expovariate(1 / 90), near.agent
        else:
            at, agent = dice.uniform(300, hours * 3600), dice.choice(agents)
        if at < hours * 3600:
            faults.append(Fault(at, _kind(seed, dice, len(faults), temper), agent, _length(dice)))
    return tuple(sorted(faults, key=lambda fault: fault.at_seconds))


def _kind(seed: int, dice: Random, number: int, temper: Temper) -> FaultKind:
    """Some come in another form: by dice of their own, so that the other faults of a seed stay what they were."""
    kind = dice.choice(temper.kinds)
    other = temper.otherwise.get(kind)
    if other is None or Random(f"{other}:{seed}:{number}").random() >= OTHERWISE:
        return kind
    return other


def _length(dice: Random) -> float:
    return min(_LONGEST_SECONDS, 10 + dice.expovariate(1 / 240))
