"""Everything that there is to be seen of this machine before it is enrolled; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spotguard.domain.agents import Executor
from spotguard.domain.tags import MANAGED_TAG

if TYPE_CHECKING:
    from spotguard.planning.eligibility.facts import Facts
    from spotguard.planning.eligibility.pointers import Pointers
    from spotguard.ports.surroundings import AccountView
    from spotguard.ports.units import Units


@dataclass(frozen=True)
class Ask:
    """What is looked at, and whom to ask."""

    root: Path
    unit: str | None
    state_path: str | None
    executor: Executor
    installation: str
    metadata_url: str
    endpoint_url: str | None
    without_aws: bool


def look(ask: Ask, units: Units | None) -> tuple[Facts, Pointers]:
    from spotguard.domain.errors import MetadataUnavailable
    from spotguard.domain.pools import region_of
    from spotguard.host.imds import ImdsMetadata
    from spotguard.host.survey import run, survey
    from spotguard.planning.eligibility.facts import Facts, nothing_seen
    from spotguard.planning.eligibility.pointers import nothing_looked_at
    from spotguard.planning.findings import Unseen

    machine = survey(ask.root, units, ask.unit, ask.state_path, run)

    def blind(because: str) -> tuple[Facts, Pointers]:
        unseen = nothing_seen(because)
        facts = Facts(machine, Unseen(because), unseen, ask.state_path, ask.executor)
        return facts, nothing_looked_at(because)

    if ask.without_aws:
        return blind("--without-aws")
    try:
        identity = ImdsMetadata(ask.metadata_url).identity()
    except MetadataUnavailable as error:
        return blind(f"the metadata service does not say which instance this is ({error})")
    view = _view(ask, region_of(identity.az))
    instance = view.instance(identity.instance_id)
    if isinstance(instance, Unseen):
        return blind(instance.because)
    facts = Facts(machine, instance, view.surroundings(instance, ask.executor), ask.state_path, ask.executor)
    return facts, view.pointers(instance)


def _view(ask: Ask, region: str) -> AccountView:
    from spotguard.cloud.aws.account_view import AwsAccountView
    from spotguard.cloud.aws.connection import Account

    return AwsAccountView(Account(region, ask.endpoint_url), {MANAGED_TAG: ask.installation})
