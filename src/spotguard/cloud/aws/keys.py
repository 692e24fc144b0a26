"""The KMS keys of encrypted volumes: whose they are, and whether the spot service may use them (E28)."""

from __future__ import annotations

from spotguard.cloud.aws.connection import Connection
from spotguard.domain.errors import CloudError
from spotguard.planning.eligibility.facts import Key, Volume
from spotguard.planning.findings import Unseen

_ROLE = "/AWSServiceRoleForEC2Spot"


def of(connection: Connection, volumes: tuple[Volume, ...] | Unseen) -> tuple[Key, ...] | Unseen:
    if isinstance(volumes, Unseen):
        return volumes
    try:
        return tuple(_key(connection, key) for key in sorted({one.key_id for one in volumes if one.key_id}))
    except CloudError as refusal:
        return Unseen(str(refusal))


def _key(connection: Connection, key_id: str) -> Key:
    told = connection.look("describe_key", service="kms", KeyId=key_id)
    if told.get("KeyMetadata", {}).get("KeyManager") == "AWS":
        return Key(key_id, of_aws=True)
    try:
        grants = list(connection.paginated("list_grants", "Grants", service="kms", KeyId=key_id))
    except CloudError as refusal:
        return Key(key_id, of_aws=False, granted=Unseen(str(refusal)))
    granted = any(str(grant.get("GranteePrincipal", "")).endswith(_ROLE) for grant in grants)
    return Key(key_id, of_aws=False, granted=granted)
