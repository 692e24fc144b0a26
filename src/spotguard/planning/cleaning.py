"""What may be cleaned up and when: slowly, since cleaning up can be wrong (invariant 7). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.pools import region_of
from spotguard.domain.salvages import SALVAGE_DEVICE

SEEN_TWICE = timedelta(seconds=60)
"""Between the look that finds nothing that refers to a resource, and the earliest one that may delete it."""

FOUND, DELETED, KEPT = "leftover_found", "leftover_deleted", "leftover_kept"  # kinds of events
UNKNOWN_AGENT = "unknown agent: told, never deleted by itself"
UNKNOWN_LAUNCH = (
    "it carries a token of ours, and this database does not know that launch, or that it gave another machine. Did "
    "somebody launch one alike, with its tags? Or was an older backup restored? Then it may be the one that serves: a "
    "person decides (docs/production.md)"
)
HOURS_A_MONTH = Decimal(730)  # as AWS counts


@dataclass(frozen=True)
class Leftover:
    """Something of ours that nothing needs, and what becomes of it.

    `may_go_at` None: noted in the next look, or kept for a person, as `plan` says. `client_id` None: whose it is
    nobody can say, and no tenant is told. `usd_per_month` None: not known, or nothing of its own is billed.
    """

    resource_id: str
    kind: str
    client_id: str | None
    agent_id: str | None
    since: datetime
    ours_because: str
    loose_because: str
    plan: str
    suspect_since: datetime | None
    may_go_at: datetime | None
    usd_per_month: Decimal | None


def names_nobody(agent_tag: str | None) -> str:
    return "it names no agent" if agent_tag is None else f"no row knows the agent that it names, {agent_tag}"


def kept_plan(volume_id: str, az: str | None) -> str:
    """What a person does with a volume that no clean-up deletes: look into it, use it, or delete it, in AWS's words.

    With another device, attached to an instance that SpotGuard protects, it would count as state of that one.
    """
    named, where = f"--volume-id {volume_id}", "its zone" if az is None else az
    if az is not None:
        named = f"--region {region_of(az)} {named}"
    return (
        f"kept until a person deletes it (aws ec2 delete-volume {named}); to look into it or to take from it, attach "
        f"it to an instance in {where} that SpotGuard does not protect (aws ec2 attach-volume {named} "
        f"--instance-id INSTANCE --device {SALVAGE_DEVICE}), mounted read-only (docs/production.md)"
    )


def owners_because(holder: str, *, died: bool) -> str:
    how = "which died" if died else "which a move has ended"
    return f"its owner brought it, and {holder}, {how}, left it: it holds the state as of then, billed"


def owners_with_writes_because(holder: str, files: int, size_bytes: int, newest_at: datetime) -> str:
    """Of the only place where those files lie: told before any word of its deletion."""
    return (
        f"its owner brought it, and {holder}, which died unheard, left it: it has {files} files ({size_bytes} bytes) "
        f"that who serves lacks, the newest of {newest_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def owners_uncompared_because(holder: str) -> str:
    return (
        f"its owner brought it, and {holder}, which died unheard, left it: who serves lacks what was written last, no "
        "look has compared it, and that may lie here alone"
    )


RELEASED = "its agent was deleted: it is its user's own again, billed, and guarded by nobody"
_ENDS = {
    "instance": "terminate-instances --region {region} --instance-ids {id}",
    "volume": "delete-volume --region {region} --volume-id {id}",
    "image": "deregister-image --region {region} --image-id {id}",
    "snapshot": "delete-snapshot --region {region} --snapshot-id {id}",
}
_BUT = {
    "instance": "; to have it guarded again, install the agent on it under a new name",
    "volume": ", once no instance has it: it is not deleted with its instance",
    "image": "; its snapshots stay and are deleted after it",
    "snapshot": ", once no image owns it",
}


def released_plan(kind: str, resource_id: str, region: str | None) -> str:
    """What a person does with what a deleted agent left, in AWS's words."""
    ends = _ENDS[kind].format(region=region or "REGION", id=resource_id)
    return f"SpotGuard leaves it alone until a person ends it (aws ec2 {ends}){_BUT[kind]}"


def stranded_because(holder: str, until: datetime | None, carried_to: str) -> str:
    """`until`: when the holder let go or ended, which is how old the state is."""
    age = "nobody knows when" if until is None else f"{until:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"it holds the state of {holder} as of {age}: a move that came to nothing took it away, and "
        f"{carried_to}, which had it last, has never served"
    )


def last_state_because(holder: str) -> str:
    return (
        f"it is a disk of {holder}, which died, and the workload came back from an image: what {holder} had written on "
        "it since that image lies nowhere else"
    )


def unimaged_because(holder: str) -> str:
    return (
        f"{holder} had it, and the workload moved on by an image that was made while it was attached to nobody: what "
        "is on it lies nowhere else"
    )


def uncompared_because(holder: str) -> str:
    return (
        f"it is a disk of {holder}, which died, and the standby that took over lacks what was written last: no look "
        "has compared it, and that may lie here alone"
    )


def may_go_at(suspect_since: datetime | None) -> datetime | None:
    return None if suspect_since is None else suspect_since + SEEN_TWICE


def plan_of(verb: str, suspect_since: datetime | None) -> str:
    if suspect_since is None:
        return f"noted in the next look, {verb} when it is still so a minute later"
    return (
        f"{verb} in the next look after {may_go_at(suspect_since):%Y-%m-%d %H:%M:%S} UTC, if it is still so"
    )


def usd_per_month(usd_per_hour: Decimal | None) -> Decimal | None:
    return None if usd_per_hour is None else usd_per_hour * HOURS_A_MONTH


def total_per_month(found: list[Leftover]) -> Decimal:
    """Of those whose cost is known."""
    return sum((one.usd_per_month for one in found if one.usd_per_month is not None), Decimal(0))
