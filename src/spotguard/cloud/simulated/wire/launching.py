"""RunInstances: one instance, once a token."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

from moto.ec2.utils import filter_iam_instance_profiles

from spotguard.cloud.simulated.views import instance_view
from spotguard.cloud.simulated.volumes import ROOT_DEVICE
from spotguard.cloud.simulated.wire.account import Fingerprinted
from spotguard.cloud.simulated.wire.answers import tags_for
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.instances import InstanceAnswers
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.ids import ClientToken, ImageId, SnapshotId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import BlockDevice, InstanceView, LaunchRequest

# What a repetition with the same token may change: the zone is the token's scope (EC2 idempotency guide).
_SCOPE = frozenset({"ClientToken", "DryRun", "SubnetId"})


class LaunchAnswers(InstanceAnswers):
    """RunInstances, and what fleets launch by."""

    def run_instances(self) -> Told:
        wanted = self.with_template({**self.params})
        if (int(wanted.get("MinCount", 1)), int(wanted.get("MaxCount", 1))) != (1, 1):
            raise WireError("UnsupportedOperation", "this simulated EC2 launches one instance a call")
        self.require_existing(wanted)
        pool, mode = self._place(wanted), market_of(wanted)
        require_fitting_tags(wanted, mode)
        self._require_price(wanted, pool)
        self.error_on_dryrun()
        token = ClientToken(wanted.get("ClientToken") or str(uuid4()))
        asked = fingerprint(wanted)
        self.require_same("RunInstances", token, pool.az, asked)
        request = LaunchRequest(
            token=token,
            pool=pool,
            mode=mode,
            image_id=ImageId(wanted.get("ImageId", "")),
            tags=tags_for(wanted.get("TagSpecifications", ()), "instance"),
            user_data=user_data_of(wanted),
            block_devices=devices_of(wanted),
        )
        key = ("RunInstances", token, pool.az)
        view = self.launched(wanted, key, asked, lambda: self.ec2.run_instance(request))
        return Told(self.reservation(view))

    def launched(
        self, wanted: dict[str, Any], key: Fingerprinted, asked: str, launch: Callable[[], InstanceView]
    ) -> InstanceView:
        """The launch. What it made is remembered and known to moto even when its answer is lost."""
        machines = self.ec2.world.machines
        known = len(machines)
        try:
            told = launch()
        finally:
            for machine in list(machines.values())[known:]:
                self.account.fingerprints[key] = asked
                mirror = self.account.adopt(machine, wanted)
                volume_tags = tags_for(wanted.get("TagSpecifications", ()), "volume")
                for volume in machine.volumes.values():
                    self.ec2.controls.retag(volume.volume_id, volume_tags)
                mirror.nics[0].add_tags(tags_for(wanted.get("TagSpecifications", ()), "network-interface"))
        # Again, for its addresses are the network's now.
        return instance_view(machines[told.instance_id])

    def with_template(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The launch template's data with what the request says itself on top."""
        named = wanted.pop("LaunchTemplate", None)
        if named is None:
            return wanted
        return {**self.account.moto._get_template_from_args(named).data, **wanted}  # noqa: SLF001 - moto's only way

    def require_existing(self, wanted: Mapping[str, Any]) -> None:
        """Image, groups, key, profile and subnet must be there before anything is launched."""
        moto = self.account.moto
        self.ec2.world.image(ImageId(wanted.get("ImageId", "")))
        for group_id in wanted.get("SecurityGroupIds", ()):
            if moto.get_security_group_from_id(group_id) is None:
                raise WireError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        for name in wanted.get("SecurityGroups", ()):
            moto.get_security_group_by_name_or_id(name)
        if wanted.get("KeyName"):
            moto.describe_key_pairs(key_names=[wanted["KeyName"]])
        profile = wanted.get("IamInstanceProfile")
        if profile:
            filter_iam_instance_profiles(
                self.account.number, self.partition, profile.get("Arn"), profile.get("Name")
            )
        if wanted.get("SubnetId"):
            moto.get_subnet(wanted["SubnetId"])

    def _place(self, wanted: Mapping[str, Any]) -> Pool:
        """The pool; without a subnet or a zone the first zone that offers the type."""
        instance_type = wanted.get("InstanceType", "")
        az = self.zone_of(wanted)
        if az is not None:
            return Pool(instance_type, az)
        pools = [Pool(instance_type, zone) for zone in self.account.subnets]
        return next((pool for pool in pools if self._is_offered(pool)), pools[0])

    def _is_offered(self, pool: Pool) -> bool:
        refusal = self.ec2.refusal(pool, Mode.SPOT) if pool.instance_type in self._types() else None
        return pool.instance_type in self._types() and (refusal is None or refusal.code != "Unsupported")

    def _types(self) -> frozenset[str]:
        return frozenset(pool.instance_type for pool in self.ec2.pools())

    def zone_of(self, wanted: Mapping[str, Any]) -> str | None:
        interfaces = wanted.get("NetworkInterfaces", ())
        subnet_id = wanted.get("SubnetId") or next(
            (interface["SubnetId"] for interface in interfaces if "SubnetId" in interface), None
        )
        if subnet_id is not None:
            return str(self.account.moto.get_subnet(subnet_id).availability_zone)
        az = wanted.get("Placement", {}).get("AvailabilityZone") or wanted.get("AvailabilityZone")
        return None if az is None else str(az)

    def _require_price(self, wanted: Mapping[str, Any], pool: Pool) -> None:
        """A maximum price is legal, foolish, and below the price refused (E25)."""
        most = wanted.get("InstanceMarketOptions", {}).get("SpotOptions", {}).get("MaxPrice")
        price = self.ec2.price_now(pool)
        if most is not None and price is not None and Decimal(most) < price:
            raise WireError("SpotMaxPriceTooLow", f"Your Spot request price of {most} is lower than {price}")


def market_of(wanted: Mapping[str, Any]) -> Mode:
    options = wanted.get("InstanceMarketOptions", {})
    if options.get("MarketType") != "spot":
        return Mode.ONDEMAND
    spot = options.get("SpotOptions", {})
    if spot.get("SpotInstanceType", "one-time") != "one-time":
        raise WireError("UnsupportedOperation", "this simulated EC2 knows one-time spot requests only")
    if spot.get("InstanceInterruptionBehavior", "terminate") != "terminate":
        raise WireError("InvalidParameterCombination", "a one-time spot request can only terminate")
    return Mode.SPOT


def require_fitting_tags(wanted: Mapping[str, Any], mode: Mode) -> None:
    """EC2's own words, as karpenter-provider-aws#5850 quotes them."""
    if mode is not Mode.SPOT and tags_for(wanted.get("TagSpecifications", ()), "spot-instances-request"):
        raise WireError(
            "InvalidParameterValue",
            "You cannot specify tags for Spot instances requests if there are no Spot instances requests "
            "being created by the request.",
        )


def user_data_of(wanted: Mapping[str, Any]) -> str:
    data = str(wanted.get("UserData") or "")
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError as error:  # not base64, or not text: the simulator keeps text
        raise WireError("InvalidUserData.Malformed", "user data is base64 of UTF-8 text here") from error


def devices_of(wanted: Mapping[str, Any]) -> list[BlockDevice]:
    return [_device(mapping) for mapping in wanted.get("BlockDeviceMappings", ())]


def _device(mapping: Mapping[str, Any]) -> BlockDevice:
    if "NoDevice" in mapping:
        return BlockDevice(mapping["DeviceName"], no_device=True)
    ebs = mapping.get("Ebs", {})
    snapshot_id = ebs.get("SnapshotId")
    return BlockDevice(
        mapping["DeviceName"],
        size_gib=int(ebs.get("VolumeSize", 0)),
        snapshot_id=None if snapshot_id is None else SnapshotId(snapshot_id),
        delete_on_termination=bool(ebs.get("DeleteOnTermination", mapping["DeviceName"] == ROOT_DEVICE)),
    )


def fingerprint(wanted: Mapping[str, Any], without: Iterable[str] = _SCOPE) -> str:
    """All that a repetition must repeat."""
    left_out = frozenset(without)
    kept = {name: value for name, value in wanted.items() if name not in left_out}
    kept["Placement"] = {
        key: value for key, value in wanted.get("Placement", {}).items() if key != "AvailabilityZone"
    }
    kept["NetworkInterfaces"] = [
        {key: value for key, value in interface.items() if key != "SubnetId"}
        for interface in wanted.get("NetworkInterfaces", ())
    ]
    return json.dumps(kept, sort_keys=True, default=str)
