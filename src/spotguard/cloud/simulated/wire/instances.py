"""Instances as DescribeInstances shows them, and the calls that end, stop, start or change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from spotguard.cloud.simulated.state import Machine
from spotguard.cloud.simulated.volumes import ROOT_DEVICE
from spotguard.cloud.simulated.wire.answers import Answers, require_known, tag_list
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.filters import Reader, passing
from spotguard.cloud.simulated.wire.mirrors import STATE_CODES, Mirror
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.ports.cloud import InstanceView

UNKNOWN = "InvalidInstanceID.NotFound"
_LIVE = frozenset({InstanceState.PENDING, InstanceState.RUNNING})
_REASONS: Mapping[EndReason | None, tuple[str, str]] = {
    EndReason.REQUESTED: ("User", "Client.UserInitiatedShutdown: User initiated shutdown"),
    EndReason.INTERRUPTED: ("Service", "Server.SpotInstanceTermination: Spot instance termination"),
    None: ("Service", "Server.InternalError: Internal error"),
}
_READERS: Mapping[str, Reader] = {
    "availability-zone": lambda view: [view.pool.az],
    "client-token": lambda view: [view.token or ""],
    "image-id": lambda view: [view.image_id],
    "instance-id": lambda view: [view.instance_id],
    "instance-lifecycle": lambda view: ["spot"] if view.mode is Mode.SPOT else [],
    "instance-state-code": lambda view: [STATE_CODES[view.state]],
    "instance-state-name": lambda view: [view.state.value],
    "instance-type": lambda view: [view.pool.instance_type],
    "private-ip-address": lambda view: [view.private_ip],
    "ip-address": lambda view: [view.public_ip] if view.public_ip else [],
    "block-device-mapping.volume-id": lambda view: [volume.volume_id for volume in view.volumes],
}


class InstanceAnswers(Answers):
    """Instances, once they are there."""

    def describe_instances(self) -> Told:
        ids = self.items("InstanceIds")
        if ids and self._get_param("MaxResults"):
            raise WireError(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            )
        self.error_on_dryrun()
        views = self.seen(ids)
        answer = self.page("Reservations", views)
        answer["Reservations"] = [self.reservation(view) for view in answer["Reservations"]]
        return Told(answer)

    def seen(self, ids: Sequence[str] = ()) -> list[InstanceView]:
        """What EC2 shows of these ids (all without) that passes the request's filters."""
        filters = self.filters()
        token = filters.get("client-token", [])
        views = self.ec2.describe_instances(
            [InstanceId(instance_id) for instance_id in ids],
            token=ClientToken(token[0]) if len(token) == 1 and not set("*?") & set(token[0]) else None,
        )
        if ids and not filters:
            require_known(ids, [view.instance_id for view in views], UNKNOWN)
        return passing(views, filters, self._readers(), lambda view: view.tags)

    def _readers(self) -> Mapping[str, Reader]:
        def of_mirror(attribute: str) -> Reader:
            return lambda view: [getattr(self.mirror(view.instance_id), attribute)]

        return {
            **_READERS,
            "subnet-id": of_mirror("subnet_id"),
            "vpc-id": of_mirror("vpc_id"),
            "key-name": of_mirror("key_name"),
            "instance.group-id": lambda view: [
                group.id for group in self.mirror(view.instance_id).nics[0].group_set
            ],
        }

    def machine(self, instance_id: str) -> Machine:
        """The record; `InvalidInstanceID.NotFound` while EC2 does not show it."""
        self.ec2.advance()
        return self.ec2.world.machine(InstanceId(instance_id))

    def mirror(self, instance_id: InstanceId) -> Mirror:
        return self.account.adopt(self.ec2.world.machines[instance_id])

    def reservation(self, view: InstanceView) -> dict[str, Any]:
        mirror = self.mirror(view.instance_id)
        return {
            "ReservationId": mirror.reservation_id,
            "OwnerId": self.account.number,
            "Groups": [],
            "Instances": [self.shown(view, mirror)],
        }

    def shown(self, view: InstanceView, mirror: Mirror) -> dict[str, Any]:
        """The instance in the shape of EC2's answer."""
        answer = {
            "InstanceId": view.instance_id,
            "ImageId": view.image_id,
            "State": _state(view.state),
            "InstanceType": view.pool.instance_type,
            "LaunchTime": view.launched_at,
            "Placement": {"AvailabilityZone": view.pool.az, "GroupName": "", "Tenancy": "default"},
            "Monitoring": mirror.monitoring,
            "PrivateIpAddress": view.private_ip,
            "PrivateDnsName": mirror.private_dns_name,
            "Architecture": "arm64" if _is_graviton(view.pool.instance_type) else "x86_64",
            "RootDeviceType": "ebs",
            "RootDeviceName": ROOT_DEVICE,
            "BlockDeviceMappings": [
                {
                    "DeviceName": volume.device,
                    "Ebs": {
                        "VolumeId": volume.volume_id,
                        "Status": "attached",
                        "AttachTime": view.launched_at,
                        "DeleteOnTermination": volume.delete_on_termination,
                    },
                }
                for volume in view.volumes
            ],
            "VirtualizationType": "hvm",
            "Hypervisor": "xen",
            "EnaSupport": True,
            "EbsOptimized": mirror.ebs_optimized,
            "SourceDestCheck": mirror.source_dest_check,
            "MetadataOptions": _metadata_options(mirror),
            "HibernationOptions": {"Configured": view.hibernates},
            "AmiLaunchIndex": 0,
            "ClientToken": view.token or "",
            "Tags": tag_list(view.tags),
            **_market(view),
            **_ending(view),
        }
        if mirror.key_name:
            answer["KeyName"] = mirror.key_name
        if mirror.iam_instance_profile:
            answer["IamInstanceProfile"] = mirror.iam_instance_profile
        if not mirror.is_over:
            answer |= _placed(mirror)
        return answer

    def describe_instance_status(self) -> Told:
        self.error_on_dryrun()
        ids = self.items("InstanceIds")
        everything = self._get_bool_param("IncludeAllInstances", if_none=False)
        views = [view for view in self.seen(ids) if everything or view.state is InstanceState.RUNNING]
        answer = self.page("InstanceStatuses", views)
        answer["InstanceStatuses"] = [self._status(view) for view in answer["InstanceStatuses"]]
        return Told(answer)

    def _status(self, view: InstanceView) -> dict[str, Any]:
        status, since = "not-applicable", None
        if view.state is InstanceState.RUNNING:
            since = self.ec2.world.machines[view.instance_id].impaired_since
            status = "ok" if since is None else "impaired"
        check = {"Name": "reachability", "Status": "passed" if since is None else "failed"}
        details = [check if since is None else {**check, "ImpairedSince": since}]
        return {
            "InstanceId": view.instance_id,
            "AvailabilityZone": view.pool.az,
            "InstanceState": _state(view.state),
            "InstanceStatus": {"Status": status, "Details": details},
            "SystemStatus": {"Status": status, "Details": details},
        }

    def terminate_instances(self) -> Told:
        machines = self._all_known()
        self.error_on_dryrun()
        before = [machine.state for machine in machines]
        for machine in machines:
            if self.mirror(machine.instance_id).disable_api_termination:
                raise WireError(
                    "OperationNotPermitted", f"{machine.instance_id} is protected from termination"
                )
        for machine in machines:
            self.ec2.terminate_instance(machine.instance_id)
        return Told({"TerminatingInstances": _changes(machines, before)})

    def stop_instances(self) -> Told:
        machines = self._all_known()
        self.error_on_dryrun()
        before = [machine.state for machine in machines]
        hibernate = self._get_bool_param("Hibernate", if_none=False)
        stop = self.ec2.controls.hibernate if hibernate else self.ec2.controls.stop
        for machine in machines:
            if machine.state not in {InstanceState.STOPPING, InstanceState.STOPPED}:
                stop(machine.instance_id)
        return Told({"StoppingInstances": _changes(machines, before)})

    def start_instances(self) -> Told:
        machines = self._all_known()
        self.error_on_dryrun()
        before = [machine.state for machine in machines]
        for machine in machines:
            if machine.state not in _LIVE:
                self.ec2.controls.start(machine.instance_id)
        return Told({"StartingInstances": _changes(machines, before)})

    def reboot_instances(self) -> Told:
        machines = self._all_known()
        self.error_on_dryrun()
        for machine in machines:
            self.ec2.controls.reboot(machine.instance_id)
        return Told({})

    def _all_known(self) -> list[Machine]:
        """EC2 does nothing at all when one of the ids is unknown."""
        return [self.machine(instance_id) for instance_id in self.items("InstanceIds")]


def _state(state: InstanceState) -> dict[str, Any]:
    return {"Code": STATE_CODES[state], "Name": state.value}


def _changes(machines: list[Machine], before: list[InstanceState]) -> list[dict[str, Any]]:
    return [
        {
            "InstanceId": machine.instance_id,
            "PreviousState": _state(former),
            "CurrentState": _state(machine.state),
        }
        for machine, former in zip(machines, before, strict=True)
    ]


def _market(view: InstanceView) -> dict[str, str]:
    """A spot instance names its request; on demand there is no lifecycle at all."""
    if view.mode is not Mode.SPOT:
        return {}
    return {"InstanceLifecycle": "spot", "SpotInstanceRequestId": f"sir-{view.instance_id[-8:]}"}


def _ending(view: InstanceView) -> dict[str, Any]:
    if view.ended_at is None:
        return {"StateTransitionReason": ""}
    who, reason = _REASONS[view.end_reason]
    return {
        "StateTransitionReason": f"{who} initiated ({view.ended_at:%Y-%m-%d %H:%M:%S} GMT)",
        "StateReason": {"Code": reason.partition(":")[0], "Message": reason},
    }


def _placed(mirror: Mirror) -> dict[str, Any]:
    groups = [{"GroupId": group.id, "GroupName": group.name} for group in mirror.nics[0].group_set]
    placed: dict[str, Any] = {
        "SubnetId": mirror.subnet_id,
        "VpcId": mirror.nics[0].subnet.vpc_id,
        "SecurityGroups": groups,
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": nic.id,
                "SubnetId": nic.subnet.id,
                "VpcId": nic.subnet.vpc_id,
                "Status": "in-use",
                "MacAddress": nic.mac_address,
                "PrivateIpAddress": nic.private_ip_address,
                "SourceDestCheck": nic.source_dest_check,
                "Groups": groups,
                "Attachment": {
                    "AttachmentId": nic.attachment_id,
                    "AttachTime": nic.attach_time,
                    "DeleteOnTermination": nic.delete_on_termination,
                    "DeviceIndex": nic.device_index,
                    "NetworkCardIndex": 0,
                    "Status": "attached",
                },
                "PrivateIpAddresses": _addresses(nic),
                "Association": _addresses(nic)[0]["Association"],
            }
            for nic in mirror.nics.values()
        ],
    }
    if mirror.public_ip:
        placed |= {"PublicIpAddress": mirror.public_ip, "PublicDnsName": mirror.public_dns_name}
    return placed


def _addresses(nic: NetworkInterface) -> list[dict[str, Any]]:
    """The primary first, with the public address in front of it."""
    elastic = any(address.public_ip == nic.public_ip for address in nic.ec2_backend.addresses)
    public = {"PublicIp": nic.public_ip, "IpOwnerId": nic.owner_id if elastic else "amazon"}
    return [
        {
            "PrivateIpAddress": address["PrivateIpAddress"],
            "Primary": address["PrivateIpAddress"] == nic.private_ip_address,
            "Association": public
            if nic.public_ip and address["PrivateIpAddress"] == nic.private_ip_address
            else None,
        }
        for address in nic.private_ip_addresses
    ]


def _metadata_options(mirror: Mirror) -> dict[str, Any]:
    options = mirror.metadata_options
    return {
        "State": options.state,
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "InstanceMetadataTags": options.instance_metadata_tags,
    }


def _is_graviton(instance_type: str) -> bool:
    """AWS: a `g` after the generation's number (m6g, c7gn, t4g) is its own Arm processor."""
    family = instance_type.partition(".")[0]
    generation = family.lstrip("abcdefghijklmnopqrstuvwxyz").lstrip("0123456789")
    return "g" in generation
