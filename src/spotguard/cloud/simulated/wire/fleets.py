"""CreateFleet, type `instant`: many pools in one call. Refusals of candidates are part of the answer, not errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from spotguard.cloud.simulated.wire.answers import tags_for
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.launching import (
    LaunchAnswers,
    devices_of,
    fingerprint,
    require_fitting_tags,
    user_data_of,
)
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.errors import CloudError, Doubtful, Throttled, TokenMismatch
from spotguard.domain.ids import ClientToken, ImageId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import FleetRequest, InstanceView

_REGIONAL = ""
_PRIORITIZED = frozenset({"prioritized", "capacity-optimized-prioritized"})
_CHEAPEST = frozenset({"lowest-price", "lowestPrice", "price-capacity-optimized"})
Choice = tuple[Pool, dict[str, Any], dict[str, Any]]  # pool, override, launch template as named


class FleetAnswers(LaunchAnswers):
    """One instance from whichever override has capacity."""

    def create_fleet(self) -> Told:
        if self.text("Type") != "instant":
            raise WireError("UnsupportedOperation", "this simulated EC2 knows instant fleets only")
        mode = self._mode()
        configs = self.items("LaunchTemplateConfigs")
        if len(configs) != 1:
            raise WireError("UnsupportedOperation", "this simulated EC2 takes one launch template a fleet")
        wanted = self.with_template({"LaunchTemplate": configs[0]["LaunchTemplateSpecification"]})
        wanted["TagSpecifications"] = [*wanted.get("TagSpecifications", ()), *self.items("TagSpecifications")]
        self.error_on_dryrun()
        token = ClientToken(self._get_param("ClientToken") or str(uuid4()))
        asked = fingerprint({**self.params, "Template": fingerprint(wanted, ())})
        self.require_same("CreateFleet", token, _REGIONAL, asked)
        if token not in self.account.fleets:
            told = self._created(token, mode, wanted, asked, self._choices(configs[0], mode))
            if not told["Instances"]:
                return Told(told)  # a fleet that made nothing may be asked again
            self.account.fleets[token] = told
        return Told(self.account.fleets[token])

    def _mode(self) -> Mode:
        """The market that the one instance is bought in."""
        wanted = self._get_param("TargetCapacitySpecification", {})
        if int(wanted.get("TotalTargetCapacity", 0)) != 1:
            raise WireError("UnsupportedOperation", "this simulated EC2 launches one instance a fleet")
        if wanted.get("SpotTargetCapacity") or wanted.get("OnDemandTargetCapacity"):
            return Mode.SPOT if wanted.get("SpotTargetCapacity") else Mode.ONDEMAND
        return Mode.SPOT if wanted.get("DefaultTargetCapacityType") == "spot" else Mode.ONDEMAND

    def _choices(self, config: Mapping[str, Any], mode: Mode) -> list[Choice]:
        """The overrides in the order in which the allocation strategy tries them."""
        named, template = config["LaunchTemplateSpecification"], self._template(config)
        overrides = config.get("Overrides") or [{}]
        choices: list[Choice] = []
        for override in overrides:
            az = self.zone_of(override) or self.zone_of(template) or next(iter(self.account.subnets))
            kind = override.get("InstanceType") or template.get("InstanceType", "")
            choices.append((Pool(kind, az), override, named))
        options = self._get_param("SpotOptions" if mode is Mode.SPOT else "OnDemandOptions", {})
        strategy = options.get("AllocationStrategy")
        if strategy in _PRIORITIZED:
            return sorted(choices, key=lambda choice: float(choice[1].get("Priority", "inf")))
        if strategy in _CHEAPEST:
            return sorted(choices, key=lambda choice: self.ec2.price_now(choice[0]) or "inf")
        return choices

    def _template(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return self.with_template({"LaunchTemplate": config["LaunchTemplateSpecification"]})

    def _created(
        self, token: ClientToken, mode: Mode, wanted: dict[str, Any], asked: str, choices: list[Choice]
    ) -> dict[str, Any]:
        request = FleetRequest(
            token=token,
            candidates=[(pool, mode) for pool, _, _ in choices],
            image_id=ImageId(wanted.get("ImageId", "")),
            tags=tags_for(wanted["TagSpecifications"], "instance"),
            user_data=user_data_of(wanted),
            block_devices=devices_of(wanted),
        )
        fleet: dict[str, Any] = {"FleetId": f"fleet-{uuid4()}", "Instances": [], "Errors": []}
        refusals = [(choice, self._refusal(choice[0], mode)) for choice in choices]
        try:
            self.require_existing(wanted)
            require_fitting_tags(wanted, mode)
            key = ("CreateFleet", token, _REGIONAL)
            view = self.launched(wanted, key, asked, lambda: self.ec2.create_fleet(request))
        except (Throttled, Doubtful, TokenMismatch):
            raise  # of the call, not of a candidate
        except CloudError as refusal:
            fleet["Errors"] = [_error(choice, mode, own or refusal) for choice, own in refusals]
            return fleet
        place = next(n for n, (pool, _, _) in enumerate(choices) if pool.id == view.pool.id)
        fleet["Instances"] = [_made(choices[place], mode, view)]
        fleet["Errors"] = [_error(choice, mode, own) for choice, own in refusals[:place] if own is not None]
        return fleet

    def _refusal(self, pool: Pool, mode: Mode) -> CloudError | None:
        try:
            return self.ec2.refusal(pool, mode)
        except CloudError as refusal:  # no such zone or type
            return refusal


def _chosen(choice: Choice) -> dict[str, Any]:
    _, override, named = choice
    return {"LaunchTemplateSpecification": dict(named), "Overrides": dict(override)}


def _error(choice: Choice, mode: Mode, refusal: CloudError) -> dict[str, Any]:
    return {
        "LaunchTemplateAndOverrides": _chosen(choice),
        "Lifecycle": _lifecycle(mode),
        "ErrorCode": refusal.code,
        "ErrorMessage": refusal.detail or refusal.code,
    }


def _made(choice: Choice, mode: Mode, view: InstanceView) -> dict[str, Any]:
    return {
        "LaunchTemplateAndOverrides": _chosen(choice),
        "Lifecycle": _lifecycle(mode),
        "InstanceIds": [view.instance_id],
        "InstanceType": view.pool.instance_type,
    }


def _lifecycle(mode: Mode) -> str:
    return "spot" if mode is Mode.SPOT else "on-demand"
