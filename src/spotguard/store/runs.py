"""When instances ran: EC2's own times; where the server cannot ask it, what the agents said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from spotguard.store.batches import batch_of, batched
from spotguard.store.prepared import Prepared
from spotguard.store.tables import instance_runs, instances

Row = sa.Row[Any]
_i, _r = instances.c, instance_runs.c

BEGAN = sa.func.coalesce(_i.launched_at, _i.installed_at)
ENDED = sa.func.coalesce(_i.ended_at, _i.terminated_at)
"""Of the newest run."""

_FORMER = Prepared(
    sa.select(instance_runs)
    .where(_r.instance_id.in_(batch_of(_r.instance_id)))
    .order_by(_r.instance_id, _r.launched_at)
)


def former_runs(tx: sa.Connection, instance_ids: list[str]) -> dict[str, list[Row]]:
    """Of instances that were stopped and started again."""
    runs: dict[str, list[Row]] = {}
    for row in of_all(tx, _FORMER, instance_ids):
        runs.setdefault(row.instance_id, []).append(row)
    return runs


def of_all(tx: sa.Connection, wanted: Prepared, instance_ids: list[str]) -> Iterator[Any]:
    for some in batched(instance_ids):
        yield from wanted.rows(tx, some)
