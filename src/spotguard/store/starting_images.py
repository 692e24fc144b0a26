"""From which image an agent's machines are launched.

Its owner may have installed agent and workload on a running machine: then the image of that machine holds neither,
and nothing that is launched from it ever enrols. Only a machine that we launched from it and that enrolled proves it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.ports.cloud import CopyState
from spotguard.store import images
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, instances, storage_resources

Row = sa.Row[Any]
_i = instances.alias("launched").c
_s = storage_resources.c
_launched_by_us = sa.or_(
    *(column.is_not(None) for column in (_i.intention_token, _i.switch_id, _i.replica_id, _i.drill_id))
)
IS_PROVEN = sa.exists().where(
    _i.agent_id == agents.c.id, _i.ami_id == agents.c.ami_id, _i.hears, _launched_by_us
)
"""Of an agent: a machine that was launched from its image for it has enrolled."""
HAS_OURS = sa.exists().where(
    _s.agent_id == agents.c.id, _s.kind == "image", _s.ended_at.is_(None), _s.state == CopyState.DONE.value
)
"""Of an agent: there is a complete image of ours."""
_PROVEN = Prepared(sa.select(agents.c.id).where(agents.c.id == sa.bindparam("agent"), IS_PROVEN))


def image_of(tx: sa.Connection, agent: Row) -> str:
    """Its own, once that is proven; else the newest image of ours, which was made of a machine that served, if there
    is one. `Refused` where neither is known.
    """
    if _PROVEN.first(tx, {"agent": agent.id}) is not None:
        return str(agent.ami_id)
    newest = images.newest_of(tx, agent.id)
    if newest is not None:
        return str(newest.id)
    if agent.ami_id is None:
        raise Refused("the agent's image is not known: its registration must tell ami_id")
    return str(agent.ami_id)
