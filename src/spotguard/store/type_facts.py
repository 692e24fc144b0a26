"""Facts of instance types, as EC2 told some server: the same for everybody, in every region."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.planning.compatibility import MachineNeeds, TypeFacts, why_not
from spotguard.store import shapes
from spotguard.store.tables import instance_types
from spotguard.store.upserts import insert_or_update


def record(tx: Connection, now: datetime, facts: Iterable[TypeFacts]) -> None:
    rows = [
        {"instance_type": one.instance_type, "facts": msgspec.to_builtins(one), "seen_at": now}
        for one in facts
    ]
    insert_or_update(tx, instance_types, rows, ("facts", "seen_at"))


def known(tx: Connection, names: Collection[str]) -> dict[str, TypeFacts]:
    """Those of these that EC2 has told."""
    found = sa.select(instance_types).where(instance_types.c.instance_type.in_(sorted(names)))
    return {row.instance_type: msgspec.convert(row.facts, TypeFacts) for row in tx.execute(found)}


def unfit(tx: Connection, agent: Row[Any], wanted: Collection[str]) -> dict[str, str]:
    """Why the agent's machine is not to be put on these types; its own type always fits. Unknown facts never do."""
    own = agent.instance_type
    others = {name for name in wanted if name != own}
    if own is None or not others:
        return {}
    facts, needs = known(tx, {own, *others}), _needs(tx, agent)
    reasons = {name: why_not(name, needs, facts.get(own), facts.get(name)) for name in others}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def why_it_fails(tx: Connection, agent: Row[Any], wanted: str) -> str | None:
    """The proof that its machine would not run there; a person may try what nobody knows."""
    facts, needs = known(tx, {agent.instance_type, wanted}), _needs(tx, agent)
    if wanted == agent.instance_type or wanted not in facts or needs is None:
        return None
    return why_not(wanted, needs, facts.get(agent.instance_type), facts[wanted])


def _needs(tx: Connection, agent: Row[Any]) -> MachineNeeds | None:
    shape = None if agent.instance_id is None else shapes.of(tx, agent.instance_id)
    return None if shape is None else shape.needs
