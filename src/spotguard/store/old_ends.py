"""What its user says, at this moment, of ending the old instance of a move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import AgentId
from spotguard.domain.switches import Step, SwitchStatus
from spotguard.store import claims, deaths, fleet, grants, kill
from spotguard.store.events import CONFIGURED
from spotguard.store.prepared import Prepared
from spotguard.store.steps import heard_times
from spotguard.store.tables import agent_events, switches

Row = sa.Row[Any]
_earlier = switches.alias("earlier")
_BACK = Prepared(
    sa.select(switches.c.id)
    .where(
        switches.c.open_agent_id == sa.bindparam("agent"),
        _earlier.c.agent_id == switches.c.open_agent_id,
        _earlier.c.status == SwitchStatus.COMMITTED.value,
        _earlier.c.old_instance_id == switches.c.new_instance_id,
    )
    .limit(1)
)
_CONFIGURED = Prepared(
    sa.select(sa.func.max(agent_events.c.at)).where(
        agent_events.c.agent_id == sa.bindparam("agent"), agent_events.c.kind == CONFIGURED
    )
)


@dataclass(frozen=True)
class Word:
    """`due`: when the waiting time is over; None while the new instance is not proven. `hold`: why not now, if so."""

    auto_terminate: bool
    due: datetime | None
    hold: str | None

    def allows(self, now: datetime) -> bool:
        return self.auto_terminate and self.hold is None and self.due is not None and now >= self.due


def word(tx: sa.Connection, switch: Row) -> Word:
    """The waiting time runs from when the server heard that the new instance serves, by the server's clock."""
    agent = fleet.agent_row(tx, switch.agent_id)
    heard = heard_times(tx, switch.id)
    wait = timedelta(seconds=agent.terminate_wait_seconds)
    proven = Step.OPENED in heard and Step.VERIFIED in heard
    return Word(
        auto_terminate=bool(agent.auto_terminate_enabled),
        due=heard[Step.OPENED] + wait if proven else None,
        hold=why_nothing_ends(tx, agent)
        or _serves_again(tx, switch)
        or claims.why_kept(tx, agent.id, switch.old_instance_id),
    )


def _serves_again(tx: sa.Connection, switch: Row) -> str | None:
    held = grants.holder(tx, switch.agent_id)
    is_back = held is not None and held.instance_id == switch.old_instance_id
    return "it serves again" if is_back else None


def why_nothing_ends(tx: sa.Connection, agent: Row) -> str | None:
    """Whichever old instance it is: by its user's word, or because who serves may need it; None: one may be ended."""
    return why_held(tx, agent) or _nobody_serves(tx, agent.id)


def _nobody_serves(tx: sa.Connection, agent_id: str) -> str | None:
    """Who was proven has ended since, has let go, or is about to be taken (invariant 3)."""
    held = grants.holder(tx, AgentId(agent_id))
    if held is not None and held.released_at is None and deaths.can_serve(tx, held.instance_id):
        return None
    return "who serves in its place has ended or is about to"


def due_at(tx: sa.Connection, agent_id: AgentId, planned: datetime) -> datetime | None:
    """When an end that was planned for then is due: no sooner than its user's last word. None: he wants it held now."""
    agent = fleet.agent_row(tx, agent_id)
    if why_held(tx, agent) is not None:
        return None
    return max(planned, last_word_at(tx, agent) or planned)


def last_word_at(tx: sa.Connection, agent: Row) -> datetime | None:
    """When its settings or a kill switch that reaches it were last changed; None: never yet."""
    turned = kill.turned_at(tx, agent.client_id, agent.id)
    configured = _CONFIGURED.scalar(tx, {"agent": agent.id})
    return max((at for at in (turned, configured) if at is not None), default=None)


def why_held(tx: sa.Connection, agent: Row) -> str | None:
    """Why nothing is ended at this moment: its user's word, or his order to go back; None when that is not so."""
    if not agent.enabled:
        return "disabled by its user: nothing is ended"
    level = kill.level_for(tx, agent.client_id, agent.id)
    if level is not KillLevel.NONE:
        return f"the kill switch stands at {level.name.lower()}: nothing is ended"
    return "its workload is on the way back to it" if _goes_back(tx, agent.id) else None


def _goes_back(tx: sa.Connection, agent_id: AgentId) -> bool:
    """A move is under way to the old instance of an earlier one."""
    return _BACK.first(tx, {"agent": agent_id}) is not None
