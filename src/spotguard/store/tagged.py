"""What a tag in EC2 names: anybody who may tag there can write it."""

from __future__ import annotations

import sqlalchemy as sa


def named(tx: sa.Connection, table: sa.Table, agent_id: str | None, row_id: str | None) -> str | None:
    """The row's id, if it is this agent's: whoever may tag an instance makes it nobody else's standby. `row_id` None:
    there is no such tag.
    """
    if row_id is None:
        return None
    mine = table.c.id == row_id, table.c.agent_id == agent_id
    return tx.execute(sa.select(table.c.id).where(*mine)).scalar_one_or_none()
