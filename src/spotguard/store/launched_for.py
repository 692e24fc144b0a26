"""For whom EC2 launched an instance whose own agent is still to speak."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.errors import NotFound
from spotguard.domain.ids import ClientId, InstanceId
from spotguard.store.intentions import AGENTS, LAUNCHES
from spotguard.store.prepared import Prepared
from spotguard.store.tables import intentions

_OTHERS = Prepared(
    sa.select(intentions.c.token)
    .where(
        intentions.c.resource_id == sa.bindparam("instance"),
        intentions.c.client_id != sa.bindparam("client"),
        intentions.c.kind.in_(LAUNCHES),
        ~intentions.c.token.startswith(AGENTS),  # an agent may name any instance
    )
    .limit(1)
)


def require_not_anothers(tx: sa.Connection, client_id: ClientId | str, instance_id: InstanceId) -> None:
    """`NotFound` for an instance that EC2 has given to another client's launch: its own agent is still to speak."""
    if _OTHERS.first(tx, {"instance": instance_id, "client": client_id}) is not None:
        raise NotFound("no such instance of this client: it was launched for another one")
