"""Instant fleets: one call that tries many pools. A fleet buys in one market, so a list that names both takes one
fleet for each run of candidates of the same market, in the given order.

A fleet needs a launch template of its own: one that tags spot requests fails on demand (karpenter-provider-aws#5850).
It is named after the fleet's token, adopted by its name when the call is repeated, deleted when the fleet has
answered. One that a crash left costs nothing and is deleted by the next fleet.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Any

from spotguard.cloud.aws import looking
from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.devices import mappings
from spotguard.cloud.aws.errors import by_code
from spotguard.cloud.aws.filters import tag_filters, tag_specifications
from spotguard.cloud.aws.machines import address, machine, subnet_in, takes_credits
from spotguard.domain.errors import CloudError, NeedsPerson, NotVisible, PoolDry, QuotaReached
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.tags import CLIENT_TAG, MANAGED_TAG
from spotguard.ports.cloud import FleetRequest, InstanceView

TEMPLATE_PREFIX = "spotguard-"
NAME_TAKEN = "InvalidLaunchTemplateName.AlreadyExistsException"
STALE = timedelta(hours=1)
_MOST_TOKEN = 64
Candidate = tuple[Pool, Mode]


def create(connection: Connection, request: FleetRequest) -> InstanceView:
    """From the first candidate that has capacity; the answer to a lost call is found by its tags."""
    if not request.candidates:
        raise NeedsPerson("InvalidParameterValue", "a fleet needs candidates")
    request = replace(request, candidates=_with_a_subnet(request))
    try:
        view = _first(connection, request)
    except (PoolDry, QuotaReached, NeedsPerson):
        _sweep(connection, request)
        raise
    _sweep(connection, request)
    return view


def _with_a_subnet(request: FleetRequest) -> list[Candidate]:
    """Prices are told of every zone of the region, and few VPCs are in all of them: what one zone lacks refuses none
    of the others. `PoolDry` where that leaves none.
    """
    shape = request.shape
    if shape is None or not shape.subnets:
        return list(request.candidates)
    left = [(pool, mode) for pool, mode in request.candidates if pool.az in shape.subnets]
    if not left:
        raise PoolDry("NoSubnetInZone", f"its VPC {shape.vpc_id} has no subnet in any of the zones")
    return left


def _first(connection: Connection, request: FleetRequest) -> InstanceView:
    refusals: list[CloudError] = []
    for number, (mode, pools) in enumerate(_markets(request.candidates)):
        try:
            answer = _ask(connection, request, fleet_token(request.token, number), mode, pools)
        except (
            PoolDry,
            QuotaReached,
            NeedsPerson,
        ) as refusal:  # of this market: the other may still have room
            refusals.append(refusal)
            continue
        for made in answer.get("Instances", ()):
            if made.get("InstanceIds"):
                return _view(connection, request, made, answer)
        refusals += [
            by_code(e.get("ErrorCode", ""), e.get("ErrorMessage", "")) for e in answer.get("Errors", ())
        ]
    raise verdict(refusals)


def _ask(
    connection: Connection, request: FleetRequest, token: str, mode: Mode, pools: Sequence[Pool]
) -> Mapping[str, Any]:
    """One fleet with its template, which goes when the fleet has answered: in doubt it stays for the repetition."""
    name = _template(connection, request, token, mode)
    try:
        answer = connection.change("create_fleet", **parameters(request, token, mode, pools))
    except (PoolDry, QuotaReached, NeedsPerson):
        _drop(connection, LaunchTemplateName=name)
        raise
    _drop(connection, LaunchTemplateName=name)
    return answer


def _markets(candidates: Sequence[Candidate]) -> Iterator[tuple[Mode, list[Pool]]]:
    for mode, run in groupby(candidates, key=lambda candidate: candidate[1]):
        yield mode, [pool for pool, _ in run]


def verdict(refusals: Sequence[CloudError]) -> CloudError:
    """One answer for many refusals. The fleet's token is spent, so a passing trouble is not "the same token later", and
    an image that no pool sees is a person's matter.
    """
    told = "; ".join(dict.fromkeys(map(str, refusals)))
    for kind, answer in ((QuotaReached, QuotaReached), (NeedsPerson, NeedsPerson), (NotVisible, NeedsPerson)):
        if refusals and all(isinstance(refusal, kind) for refusal in refusals):
            return answer(refusals[0].code, told)
    return PoolDry("UnfulfillableCapacity", told or "the fleet gave no instance and no reason")


def parameters(request: FleetRequest, token: str, mode: Mode, pools: Sequence[Pool]) -> dict[str, Any]:
    """Fleet, instance and disks are tagged here: whoever may call CreateFleet is asked for the tags of both."""
    spot = mode is Mode.SPOT
    options: dict[str, Any] = (
        {
            "SpotOptions": {
                "AllocationStrategy": "capacity-optimized-prioritized",
                "InstanceInterruptionBehavior": "terminate",
            }
        }
        if spot
        else {"OnDemandOptions": {"AllocationStrategy": "prioritized"}}
    )
    return {
        "ClientToken": token,
        "Type": "instant",
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "DefaultTargetCapacityType": "spot" if spot else "on-demand",
        },
        **options,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": template_name(token), "Version": "1"},
                "Overrides": [_override(request, pool, rank) for rank, pool in enumerate(pools)],
            }
        ],
        "TagSpecifications": tag_specifications(request.tags, "fleet", "instance", "volume"),
    }


def fleet_token(token: ClientToken, number: int) -> str:
    """The first market's fleet has the token itself; the next ones, tokens made from it."""
    return token if number == 0 else f"{token[: _MOST_TOKEN - 2]}-{number}"


def _override(request: FleetRequest, pool: Pool, rank: int) -> dict[str, Any]:
    subnet = subnet_in(request.shape, pool.az)
    where = {"AvailabilityZone": pool.az} if subnet is None else {"SubnetId": subnet}
    return {"InstanceType": pool.instance_type, "Priority": float(rank), **where}


def template_name(token: str) -> str:
    return f"{TEMPLATE_PREFIX}{token}"


def _template(connection: Connection, request: FleetRequest, token: str, mode: Mode) -> str:
    name = template_name(token)
    try:
        connection.change(
            "create_launch_template",
            LaunchTemplateName=name,
            LaunchTemplateData=template(request, mode),
            TagSpecifications=tag_specifications(request.tags, "launch-template"),
        )
    except NeedsPerson as error:
        if error.code != NAME_TAKEN:
            raise
    return name


def template(request: FleetRequest, mode: Mode) -> dict[str, Any]:
    """What all candidates share; the tags of interface and spot request can only be given here."""
    shape = request.shape
    types = {pool.instance_type for pool, _ in request.candidates}
    kinds = ("network-interface", *(("spot-instances-request",) if mode is Mode.SPOT else ()))
    data: dict[str, Any] = {
        "ImageId": request.image_id,
        **machine(shape, min(types) if all(map(takes_credits, types)) else ""),
        "TagSpecifications": tag_specifications(request.tags, *kinds),
    }
    if request.user_data:
        data["UserData"] = base64.b64encode(request.user_data.encode()).decode()
    if request.block_devices:
        data["BlockDeviceMappings"] = mappings(request.block_devices, shape)
    if shape is not None and shape.tenancy != "default":
        data["Placement"] = {"Tenancy": shape.tenancy}
    if shape is not None and shape.public_ip is not None:
        data["NetworkInterfaces"] = [{"DeviceIndex": 0, **address(shape)}]
    elif shape is not None and shape.security_groups:
        data["SecurityGroupIds"] = list(shape.security_groups)
    return data


def _view(
    connection: Connection, request: FleetRequest, made: Mapping[str, Any], answer: Mapping[str, Any]
) -> InstanceView:
    """As EC2 shows it, or, while it does not, as the fleet's answer tells it."""
    instance_id = InstanceId(made["InstanceIds"][0])
    with suppress(CloudError):  # the instance is there, whatever comes of the look
        shown = looking.instances(connection, [instance_id], None, None)
        if shown:
            return shown[0]
    return InstanceView(
        instance_id=instance_id,
        state=InstanceState.PENDING,
        pool=_pool(request, made),
        mode=Mode.SPOT if made.get("Lifecycle") == "spot" else Mode.ONDEMAND,
        image_id=request.image_id,
        launched_at=_answered_at(answer),
        private_ip="",
        tags=dict(request.tags),
    )


def _pool(request: FleetRequest, made: Mapping[str, Any]) -> Pool:
    chosen = made.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    kind = made.get("InstanceType") or chosen.get("InstanceType")
    az, subnet = made.get("AvailabilityZone") or chosen.get("AvailabilityZone"), chosen.get("SubnetId")
    for pool, _ in request.candidates:
        if pool.instance_type == kind and (az or subnet) in (pool.az, subnet_in(request.shape, pool.az)):
            return pool
    return request.candidates[0][0]


def _answered_at(answer: Mapping[str, Any]) -> datetime:
    """EC2's own clock, from the answer's head."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date).astimezone(UTC) if date else datetime.now(UTC).replace(microsecond=0)


def _drop(connection: Connection, **named: str) -> None:
    """Nothing depends on a template: a failure is the next fleet's to mend."""
    with suppress(CloudError):
        connection.change("delete_launch_template", **named)


def _sweep(connection: Connection, request: FleetRequest) -> None:
    """Delete the templates that crashes of this installation have left. The launch has its answer already."""
    ours = {name: request.tags[name] for name in (MANAGED_TAG, CLIENT_TAG) if name in request.tags}
    if not ours:
        return
    filters = [{"Name": "launch-template-name", "Values": [f"{TEMPLATE_PREFIX}*"]}, *tag_filters(ours)]
    with suppress(CloudError):
        for old in connection.pages(
            "describe_launch_templates", "LaunchTemplates", size=200, Filters=filters
        ):
            if datetime.now(UTC) - old["CreateTime"] > STALE:
                _drop(connection, LaunchTemplateId=old["LaunchTemplateId"])
