"""What the engine and planning exchange: assessments of pools, proposals, verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool


class Verdict(StrEnum):
    """What came of a decision."""

    STAY = "stay"
    MOVE = "move"  # a switch command was made
    RECOMMEND = "recommend"  # told to a person; autonomy goes no further
    AWAIT_APPROVAL = "await_approval"
    REFUSED = "refused"  # the policy proposed a move and a guard-rail, or a person, refused it


class Aim(StrEnum):
    """Why a move is proposed. `RECOVER` (back to spot after a forced stay) is outside the switch limits."""

    SAVE = "save"
    ESCAPE = "escape"  # the pool's price nears on-demand
    RECOVER = "recover"


@dataclass(frozen=True)
class PoolAssessment:
    """What is known of one pool at the moment of a decision. Unknown stays None."""

    pool: Pool
    usd_per_hour: Decimal | None
    age_seconds: float | None
    up_seconds: float | None  # since it last refused or interrupted us; None: never did
    risk_6h: Decimal | None  # probability of interruption within 6 h; None: no model measures it
    quarantined_until: datetime | None
    allowed: bool  # by the workload's own settings
    because: str  # why it is not fit for a move, or "allowed"


@dataclass(frozen=True)
class Proposal:
    """What a policy would do. `target` None with mode ONDEMAND means on-demand; no proposal means stay."""

    aim: Aim
    mode: Mode
    target: Pool | None
    usd_per_hour: Decimal
    saving_percent: Decimal
    because: str
