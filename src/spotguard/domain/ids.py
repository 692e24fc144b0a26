"""Identifiers: each is a type of its own, so that no id is ever passed where another is meant."""

from __future__ import annotations

import re
from typing import NewType

ClientId = NewType("ClientId", str)
AgentId = NewType("AgentId", str)  # the logical agent: one workload, whichever instance it runs on
InstanceId = NewType("InstanceId", str)
ReplicaId = NewType("ReplicaId", str)
SwitchId = NewType("SwitchId", str)
DrillId = NewType("DrillId", str)
ProbeId = NewType("ProbeId", str)
CommandId = NewType("CommandId", str)
EventId = NewType("EventId", str)
PoolId = NewType("PoolId", str)
VolumeId = NewType("VolumeId", str)
SnapshotId = NewType("SnapshotId", str)
ImageId = NewType("ImageId", str)
ClientToken = NewType("ClientToken", str)

# Zero width, direction, C1 controls, line and paragraph ends (Unicode UAX #9 and TR #36, visual spoofing).
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")


def is_instance_id(text: str) -> bool:
    """True for an id that EC2 could have given: `i-` and 8 or 17 hexadecimal digits (EC2 resource ids)."""
    return _INSTANCE_ID.fullmatch(text) is not None


def is_workload_name(text: str) -> bool:
    """Whether people can tell it from others on a screen: all of it is seen, in its order, and no space ends it."""
    return text != "" and text == text.strip() and _UNSEEN.search(text) is None
