"""What an account shows of one instance before it is enrolled, and of itself; nothing is changed.

A question that is not permitted, or not answered, is `Unseen` with the reason, never an error: the report says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.planning.compatibility import TypeFacts
from spotguard.planning.eligibility.facts import Instance, Permission, Quota, Surroundings
from spotguard.planning.eligibility.pointers import Pointers
from spotguard.planning.findings import Unseen


class AccountView(Protocol):
    """One account in one region."""

    def identity(self) -> str | Unseen:
        """The ARN of whoever asks."""
        ...

    def clock(self) -> datetime | Unseen:
        """AWS's own time, to the second."""
        ...

    def instance(self, instance_id: InstanceId) -> Instance | Unseen: ...

    def running(self) -> tuple[Instance, ...] | Unseen:
        """Every running instance, by DescribeInstances alone: volumes, credits and protection are `Unseen`."""
        ...

    def types(self, names: Iterable[str]) -> tuple[TypeFacts, ...] | Unseen:
        """Of those that this region offers; the others are left out."""
        ...

    def surroundings(self, instance: Instance, executor: Executor) -> Surroundings: ...

    def pointers(self, instance: Instance) -> Pointers: ...

    def quotas(self, instance_type: str) -> tuple[Quota | Unseen, Quota | Unseen]:
        """Spot and on demand, of the class of the type."""
        ...

    def permissions(self, instance: Instance | None, executor: Executor) -> tuple[Permission, ...] | Unseen:
        """Every call of this executor's moves that a dry run can ask for; without an instance, those that need none."""
        ...

    def spot_role(self) -> bool | Unseen:
        """Whether the spot service's linked role is there: without it nothing can be launched as spot."""
        ...
