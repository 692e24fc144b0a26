"""Where each client's instances live: its region, and the role through which a server reaches them (ruling B18).

The external id is made here once per client and stays when the role changes: the other account's trust policy names
it, so that nobody who knows a role's ARN can make this server use it (AWS IAM guide, "The confused deputy problem").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.agents import Executor
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import ClientId
from spotguard.store.prepared import Prepared
from spotguard.store.secrets import new_id
from spotguard.store.tables import clients, cloud_accounts, instances
from spotguard.store.upserts import insert_or_update

_MOST_NAMED = 5
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ROLE = re.compile(r"arn:aws(-[a-z]+)*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)


@dataclass(frozen=True)
class CloudAccount:
    """Without a role: whoever the server is itself (environment, profile, instance role)."""

    region: str
    role_arn: str | None
    external_id: str


def account_of(tx: Connection, client_id: ClientId) -> CloudAccount | None:
    """None: no server calls EC2 for this client."""
    return _read(tx, cloud_accounts.c.client_id == client_id).get(client_id)


def all_accounts(tx: Connection) -> Mapping[ClientId, CloudAccount]:
    """Of every client that has one."""
    return _read(tx, sa.true())


def set_account(
    tx: Connection, now: datetime, client_id: ClientId, region: str, role_arn: str | None
) -> CloudAccount:
    """From the next look on. `InvalidInput` for what is no region or no role, and for a region, or a role's account,
    other than that in which EC2 has shown machines that may run: absent there, they would count as ended. Whose the
    server's own credentials are nobody knows here.
    """
    if _REGION.fullmatch(region) is None:
        raise InvalidInput(f"not an AWS region (like ap-south-1): {region[:40]!r}")
    if role_arn is not None and _ROLE.fullmatch(role_arn) is None:
        raise InvalidInput(
            f"not the ARN of a role (like arn:aws:iam::123456789012:role/x): {role_arn[:80]!r}"
        )
    elsewhere = _running(tx, client_id, instances.c.region != region)
    if elsewhere:
        raise InvalidInput(
            f"{', '.join(elsewhere)} of this client are not known to have ended, and are not in {region}: a client has "
            "one region, make another client for another one (spotguard client create)"
        )
    known = account_of(tx, client_id)
    former, new = None if known is None else _owner(known.role_arn), _owner(role_arn)
    seen = _running(tx, client_id) if former and new and former != new else []
    if seen:
        raise InvalidInput(
            f"{', '.join(seen)} of this client are not known to have ended, and are in the account {former}, not in "
            f"{new}: a client has one account, make another client for another one (spotguard client create)"
        )
    row = {
        "client_id": client_id,
        "region": region,
        "role_arn": role_arn,
        "external_id": new_id(),  # of a new row alone
        "created_at": now,
        "updated_at": now,
    }
    insert_or_update(tx, cloud_accounts, [row], ("region", "role_arn", "updated_at"))
    return _read(tx, cloud_accounts.c.client_id == client_id)[client_id]


def _running(tx: Connection, client_id: ClientId, *where: sa.ColumnElement[bool]) -> list[str]:
    """Some of the instances that EC2 has shown, and not ended."""
    i = instances.c
    seen = i.client_id == client_id, i.is_active, i.ec2_state.is_not(None), *where
    return list(tx.scalars(sa.select(i.id).where(*seen).order_by(i.id).limit(_MOST_NAMED)))


def _owner(role_arn: str | None) -> str | None:
    """The number of the account whose role it is (arn:PARTITION:iam::NUMBER:role/...)."""
    return None if role_arn is None else role_arn.split(":")[4]


def forget_account(tx: Connection, client_id: ClientId) -> None:
    """No server calls EC2 for this client any more; a later account gets another external id. Again is harmless."""
    tx.execute(sa.delete(cloud_accounts).where(cloud_accounts.c.client_id == client_id))


def set_executor(tx: Connection, now: datetime, client_id: ClientId, executor: Executor) -> None:
    """Who calls AWS in the moves that are opened from now on."""
    changed = sa.update(clients).where(clients.c.id == client_id)
    tx.execute(changed.values(executor=executor.value, updated_at=now))


_EXECUTOR = Prepared(sa.select(clients.c.executor).where(clients.c.id == sa.bindparam("client")))


def executor_of(tx: Connection, client_id: ClientId | str) -> Executor:
    """Who calls EC2 for this client (ruling B18)."""
    return Executor(_EXECUTOR.rows(tx, {"client": client_id})[0].executor)


def _read(tx: Connection, condition: sa.ColumnElement[bool]) -> dict[ClientId, CloudAccount]:
    c = cloud_accounts.c
    rows = tx.execute(sa.select(c.client_id, c.region, c.role_arn, c.external_id).where(condition)).all()
    return {ClientId(row.client_id): CloudAccount(row.region, row.role_arn, row.external_id) for row in rows}
