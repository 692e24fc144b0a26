"""Who may take a role: SpotGuard with the external id that it generated for this client, or EC2 for an agent's."""

from __future__ import annotations

import re
from typing import Any

from spotguard.domain.errors import InvalidInput
from spotguard.planning.permissions.statements import ALLOW, VERSION

_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(root|user/[\w+=,.@/-]+|role/[\w+=,.@/-]+)", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)  # STS, AssumeRole


def of_server(principal: str, external_id: str) -> dict[str, Any]:
    """For read, drill and operate. The id is what keeps another client of the same principal out (confused deputy)."""
    if not _PRINCIPAL.fullmatch(principal):
        raise InvalidInput(f"{principal!r} is not the ARN of an account's root, a user or a role")
    if not _EXTERNAL_ID.fullmatch(external_id):
        raise InvalidInput("an external id has 2 to 1224 letters, digits or + = , . @ : / -")
    return _trust({"AWS": principal}, {"Condition": {"StringEquals": {"sts:ExternalId": external_id}}})


def of_instances(suffix: str = "amazonaws.com") -> dict[str, Any]:
    """For agent: the role of an instance profile."""
    return _trust({"Service": f"ec2.{suffix}"}, {})


def _trust(principal: dict[str, str], more: dict[str, Any]) -> dict[str, Any]:
    statement = {"Effect": ALLOW, "Principal": principal, "Action": "sts:AssumeRole", **more}
    return {"Version": VERSION, "Statement": [statement]}
