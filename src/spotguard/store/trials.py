"""A model on trial: its predictions beside the present one's, what came of them, and what it would have chosen.

What an hour came to is told by a tenant's own looks and instances alone; a tenant's scores are of its own predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.planning.trials import Day, Judgement, judge
from spotguard.store.tables import instances, pool_looks, predictions, shadow_decisions
from spotguard.store.upserts import insert_missing

HORIZON = timedelta(hours=1)
TOLD_WITHIN = timedelta(minutes=10)  # what agents tell may come late
REMEMBERED = timedelta(days=90)
AT_ONCE = 500
Row = sa.Row[Any]

_OPEN = (
    sa.select(predictions)
    .where(predictions.c.settled_at.is_(None), predictions.c.at <= sa.bindparam("until"))
    .order_by(predictions.c.at)
    .limit(AT_ONCE)
)
_SAW_DOWN = (
    sa.select(pool_looks.c.id)
    .where(
        pool_looks.c.client_id == sa.bindparam("client"),
        pool_looks.c.pool_id == sa.bindparam("pool"),
        pool_looks.c.seen_at > sa.bindparam("since"),
        pool_looks.c.seen_at <= sa.bindparam("until"),
        sa.not_(pool_looks.c.up),
    )
    .limit(1)
)
_RAN = (
    sa.select(instances.c.id)
    .where(
        instances.c.client_id == sa.bindparam("client"),
        instances.c.current_pool_id == sa.bindparam("pool"),
        instances.c.current_mode == Mode.SPOT.value,
        instances.c.launched_at <= sa.bindparam("until"),
        sa.or_(
            instances.c.ended_at > sa.bindparam("until"),
            sa.and_(
                instances.c.ended_at.is_(None),
                instances.c.absent_since.is_(None),
                instances.c.ec2_state == InstanceState.RUNNING.value,
            ),
        ),
    )
    .limit(1)
)


@dataclass(frozen=True)
class Prediction:
    """Of one pool of one tenant, for the hour from `at` on: the probabilities of either, both finite."""

    client_id: ClientId
    pool_id: PoolId
    present_risk: float
    shadow_risk: float


@dataclass(frozen=True)
class Choice:
    """What the model in shadow would have done with an agent, beside what the present one proposed."""

    client_id: ClientId
    agent_id: AgentId
    choice: str
    present_choice: str
    because: str
    expected: Mapping[str, Any] | None

    @property
    def differs(self) -> bool:
        return self.choice != self.present_choice


@dataclass(frozen=True)
class Choices:
    """How many of its choices are stored, and how many of them differ from the present one's."""

    stored: int
    differing: int


def predict(
    tx: sa.Connection, now: datetime, model_id: str, present: str, told: Sequence[Prediction]
) -> None:
    """The first of each pool and hour of the clock stands, whichever coordinator told it."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = [
        {
            "model_id": model_id,
            "client_id": one.client_id,
            "pool_id": one.pool_id,
            "hour": hour,
            "at": now,
            "present": present,
            "present_risk": one.present_risk,
            "shadow_risk": one.shadow_risk,
        }
        for one in told
    ]
    insert_missing(tx, predictions, rows)


def settle(tx: sa.Connection, now: datetime) -> int:
    """Writes down what came of predictions whose hour is over. How many."""
    due = tx.execute(_OPEN, {"until": now - HORIZON - TOLD_WITHIN}).all()
    p = predictions.c
    for row in due:
        mine = sa.and_(
            p.model_id == row.model_id,
            p.client_id == row.client_id,
            p.pool_id == row.pool_id,
            p.hour == row.hour,
        )
        tx.execute(
            sa.update(predictions)
            .where(mine, p.settled_at.is_(None))
            .values(settled_at=now, fell=_outcome(tx, row))
        )
    return len(due)


def _outcome(tx: sa.Connection, row: Row) -> bool | None:
    """It fell when a look of ours saw it down within the hour; it stood when one of ours ran there at its end."""
    where = {"client": row.client_id, "pool": row.pool_id, "until": row.at + HORIZON}
    if tx.execute(_SAW_DOWN, where | {"since": row.at}).first() is not None:
        return True
    return None if tx.execute(_RAN, where).first() is None else False


def record_choice(tx: sa.Connection, now: datetime, model_id: str, present: str, told: Choice) -> None:
    row = {
        "client_id": told.client_id,
        "agent_id": told.agent_id,
        "model_id": model_id,
        "decided_at": now,
        "choice": told.choice,
        "present": present,
        "present_choice": told.present_choice,
        "differs": told.differs,
        "because": told.because,
        "expected": None if told.expected is None else dict(told.expected),
    }
    tx.execute(sa.insert(shadow_decisions), row)


def last_choice(tx: sa.Connection, model_id: str, agent_id: AgentId) -> Any | None:
    s = shadow_decisions.c
    newest = sa.select(s.decided_at, s.choice, s.present_choice).where(
        s.agent_id == agent_id, s.model_id == model_id
    )
    return tx.execute(newest.order_by(s.decided_at.desc(), s.id.desc()).limit(1)).first()


def judged(tx: sa.Connection, model_id: str, present: str, client_id: ClientId | None = None) -> Judgement:
    """By the outcomes that are known, beside this present judge of risks. `client_id` None: of the installation."""
    p = predictions.c
    day = sa.func.substr(sa.cast(p.hour, sa.String(32)), 1, 10)
    fell = sa.cast(p.fell, sa.Integer)
    off_present, off_shadow = p.present_risk - fell, p.shadow_risk - fell
    found = (
        sa.select(
            day.label("day"),
            sa.func.count().label("outcomes"),
            sa.func.sum(fell).label("falls"),
            sa.func.sum(off_present * off_present).label("present"),
            sa.func.sum(off_shadow * off_shadow).label("shadow"),
        )
        .where(p.model_id == model_id, p.present == present, p.fell.is_not(None))
        .group_by(day)
        .order_by(day)
    )
    if client_id is not None:
        found = found.where(p.client_id == client_id)
    rows = tx.execute(found).all()
    return judge([Day(int(r.outcomes), int(r.falls), float(r.present), float(r.shadow)) for r in rows])


def choices(tx: sa.Connection, model_id: str, client_id: ClientId | None = None) -> Choices:
    s = shadow_decisions.c
    found = sa.select(
        sa.func.count().label("stored"), sa.func.sum(sa.cast(s.differs, sa.Integer)).label("differing")
    ).where(s.model_id == model_id)
    if client_id is not None:
        found = found.where(s.client_id == client_id)
    row = tx.execute(found).one()
    return Choices(int(row.stored), int(row.differing or 0))


def forget(tx: sa.Connection, now: datetime) -> None:
    """What is older than a model may become tells nothing any more."""
    tx.execute(sa.delete(predictions).where(predictions.c.at < now - REMEMBERED))
    tx.execute(sa.delete(shadow_decisions).where(shadow_decisions.c.decided_at < now - REMEMBERED))
