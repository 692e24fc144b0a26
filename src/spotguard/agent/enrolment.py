"""Who this instance is, and how it makes itself known to the server (rulings B3, B4b).

An identity is (instance id, boot as EC2 knows it). What a disk says of another identity is a clone's heritage: it is
discarded before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from spotguard.agent.settings import Intervals, intervals_of
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import PoolId
from spotguard.domain.instances import Mode, Role
from spotguard.domain.pools import Pool, region_of
from spotguard.execution.user_data import note_part
from spotguard.ports.metadata import Identity

USER_DATA_KEY = "spotguard"


@dataclass(frozen=True)
class Enrolment:
    """What the server gave this identity; an empty token: it must enrol anew.

    `untouched`: the workload ran here before us, and we never moved it.
    """

    instance_id: str
    boot_id: str
    agent_id: str
    agent_token: str
    replica_id: str | None = None
    untouched: bool = False
    intervals: Intervals = field(default_factory=Intervals)


@dataclass(frozen=True)
class LaunchNote:
    """What the launch's user data says to the agent of a new instance."""

    server_url: str = ""
    logical_agent_id: str = ""
    enrolment_token: str = ""
    replica_id: str | None = None
    drill_id: str | None = None  # a clone in quarantine: it never serves anybody


def launch_note(user_data: str) -> LaunchNote | None:
    """The note in an instance's user data; None for the user's own data, whatever they are."""
    try:
        note = msgspec.json.decode(note_part(user_data).encode("utf-8", "replace"))[USER_DATA_KEY]
        return msgspec.convert(note, LaunchNote)
    except (ValueError, KeyError, TypeError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def credentials(note: LaunchNote | None, client_token: str | None) -> Iterator[str]:
    """What to enrol with, in order: the single-use token of the launch, then the client's own.

    A clone in quarantine has its launch's alone: it comes in as what it is, or not at all.
    """
    if note is not None and note.enrolment_token:
        yield note.enrolment_token
    if client_token and (note is None or note.drill_id is None):
        yield client_token


def pool_of(identity: Identity) -> Pool:
    return Pool(identity.instance_type, identity.az, az_id=identity.az_id or None)


def pool_id_of(identity: Identity) -> PoolId | None:
    """The spot pool that it runs in; on demand there is none."""
    return pool_of(identity).id if identity.mode is Mode.SPOT else None


def registration(
    identity: Identity,
    logical_agent_id: str,
    version: str,
    *,
    can_sync: bool,
    has_traffic_script: bool | None = None,
    state_on_root: bool | None = None,
) -> dict[str, Any]:
    """The body of POST /register."""
    return {
        "logical_agent_id": logical_agent_id,
        "instance_id": identity.instance_id,
        "instance_type": identity.instance_type,
        "region": region_of(identity.az),
        "az": identity.az,
        "az_id": identity.az_id,
        "ami_id": identity.image_id,
        "mode": identity.mode.value,
        "pool_id": pool_id_of(identity),
        "agent_version": version,
        "hostname": identity.hostname,
        "private_ip": identity.private_ip,
        "public_ip": identity.public_ip,
        "boot_id": identity.boot_id,
        "can_sync": can_sync,
        "has_traffic_script": has_traffic_script,
        "state_on_root": state_on_root,
    }


def enrolment_of(
    identity: Identity, answer: Mapping[str, Any], note: LaunchNote | None, *, untouched: bool
) -> Enrolment:
    """What the server's answer makes of this identity; `InvalidInput` when it is not an answer to a registration."""
    agent_id, token = answer.get("agent_id"), answer.get("agent_token")
    if not isinstance(agent_id, str) or not isinstance(token, str):
        raise InvalidInput("the server's answer names no agent or no token")
    replica = answer.get("replica_id") or (note.replica_id if note else None)
    intervals = intervals_of(answer.get("intervals") or {})
    return Enrolment(identity.instance_id, identity.boot_id, agent_id, token, replica, untouched, intervals)


def role_of(answer: Mapping[str, Any]) -> tuple[Role | None, int | None]:
    """Role and epoch as an answer tells them; None where it does not, or tells nonsense."""
    role, epoch = answer.get("role"), answer.get("epoch")
    known = role in set(Role)
    return (Role(str(role)) if known else None), (epoch if isinstance(epoch, int) else None)
