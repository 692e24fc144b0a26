"""Enrolment tokens: they travel in a launch's user data and can do nothing but register that one instance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, DrillId, InstanceId, ReplicaId, SwitchId
from spotguard.store.secrets import hash_token, new_token
from spotguard.store.tables import enrolments


def mint(
    tx: Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    switch_id: SwitchId | None = None,
    replica_id: ReplicaId | None = None,
    drill_id: DrillId | None = None,
    valid_seconds: float = 3600,
) -> str:
    """The token; only its hash is kept, and the order of an agent's launch until that has ended."""
    token = new_token("sge")
    tx.execute(
        sa.insert(enrolments),
        {
            "token_hash": hash_token(token),
            "client_id": client_id,
            "agent_id": agent_id,
            "switch_id": switch_id,
            "replica_id": replica_id,
            "drill_id": drill_id,
            "created_at": now,
            "expires_at": now + timedelta(seconds=valid_seconds),
        },
    )
    return token


def of_token(tx: Connection, token_hash: str) -> Row[Any] | None:
    return tx.execute(_OF_TOKEN, {"hash": token_hash}).first()


_OF_TOKEN = sa.select(enrolments).where(enrolments.c.token_hash == sa.bindparam("hash"))


def require_its_launch(tx: Connection, enrolled_by: Row[Any], former: Row[Any] | None) -> None:
    """What a launch was given lets in that launch alone: whoever reads it there takes nobody else's place with it."""
    if former is None or former.installed_at is None:
        return
    # its own first call may have used it in this very moment
    token = of_token(tx, enrolled_by.token_hash)
    if token is None or token.used_at is None:
        raise Refused(
            "this instance has enrolled before, and an enrolment token is for the one that was launched with it: "
            "enrol it anew with what it enrolled with"
        )


def redeem(tx: Connection, now: datetime, token_hash: str, instance_id: InstanceId) -> None:
    """Bind the token to its first instance. That instance may come again, for its disk may be lost; no other may.

    `Refused` when it has expired unused, or belongs to another instance: a clone carries the same user data.
    """
    tx.execute(
        sa.update(enrolments)
        .where(
            enrolments.c.token_hash == token_hash,
            enrolments.c.used_at.is_(None),
            enrolments.c.expires_at > now,
        )
        .values(used_at=now, used_by_instance_id=instance_id)
    )
    row = of_token(tx, token_hash)
    if row is None or row.used_by_instance_id is None:
        raise Refused(
            "this enrolment token has expired: launch the instance again, or enrol with the client's token"
        )
    if row.used_by_instance_id != instance_id:
        raise Refused(
            "this enrolment token was used by another instance: a clone does not inherit an identity"
        )
