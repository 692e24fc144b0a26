"""Up to when the ledger has settled what something cost (`metered_until`), and from when on it is settled anew."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.planning.metering import since_hour_of

LOOK_BACK = timedelta(hours=1)  # what EC2 tells late (a price, an end) may lie before the last settlement


def cut_of(settled: datetime | None, now: datetime) -> datetime | None:
    """From which full hour on entries are written anew; None: from the beginning.

    What a server whose clock was ahead has settled of a time to come is taken back.
    """
    return None if settled is None else since_hour_of(min(settled, now) - LOOK_BACK)


def not_after(metered_until: sa.ColumnElement[Any], end: datetime) -> sa.ColumnElement[Any]:
    """With an end that has become known: what was settled beyond it is settled anew."""
    return sa.case((metered_until > end, sa.literal(end, metered_until.type)), else_=metered_until)
