"""The boots of an instance, as its registrations told of them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.errors import Refused
from spotguard.store.tables import agent_tokens, instances


def require_not_over(tx: Connection, instance_id: str, boot_id: str) -> None:
    """`Refused` where it has registered in that boot and in another one since: what says so now was held back on its
    way. Whoever believed it would take the epoch from the boot that serves.
    """
    t, i = agent_tokens.c, instances.c
    of_it = sa.exists().where(t.instance_id == i.id, t.boot_id == boot_id)
    over = sa.select(i.id).where(i.id == instance_id, i.boot_id != boot_id, of_it)
    if tx.execute(over).first() is not None:
        raise Refused("this boot of the instance is over: it has registered in another one since")
