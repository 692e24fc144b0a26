"""The instance metadata service (IMDSv2), as an agent reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import Mode


@dataclass(frozen=True)
class Identity:
    """Who this machine is. `boot_id` changes when EC2 boots it from stopped or as a clone, not on reboot (B4b)."""

    instance_id: InstanceId
    boot_id: str
    instance_type: str
    az: str
    az_id: str
    image_id: ImageId
    mode: Mode
    hostname: str
    private_ip: str
    public_ip: str | None = None


@dataclass(frozen=True)
class InterruptionNotice:
    """`spot/instance-action`: what EC2 will do, and when."""

    action: str
    action_time: datetime


@dataclass(frozen=True)
class RebalanceRecommendation:
    """`events/recommendations/rebalance`."""

    notice_time: datetime


class Metadata(Protocol):
    """Every method raises `MetadataUnavailable` on 401 after a fresh token, 503, or no answer; 404 means None."""

    def identity(self) -> Identity: ...

    def user_data(self) -> str: ...

    def interruption_notice(self) -> InterruptionNotice | None: ...

    def rebalance_recommendation(self) -> RebalanceRecommendation | None: ...
