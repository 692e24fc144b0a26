"""moto's idea of our instances: what Elastic IPs, target groups and network interfaces hang on.

A mirror has the simulator's id and follows its machine's state; volumes, prices, tokens and images it knows nothing of.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.utils import random_reservation_id

from spotguard.cloud.simulated.state import Machine
from spotguard.domain.instances import InstanceState, Mode

STATE_CODES = {
    InstanceState.PENDING: 0,
    InstanceState.RUNNING: 16,
    InstanceState.SHUTTING_DOWN: 32,
    InstanceState.TERMINATED: 48,
    InstanceState.STOPPING: 64,
    InstanceState.STOPPED: 80,
}


class Mirror(Instance):
    """An instance of ours as moto sees it. `wanted` is what the launch asked for and the simulator does not keep."""

    wanted: dict[str, Any]
    reservation_id: str
    is_over: bool = False

    def show(self, state: InstanceState) -> None:
        self._state.name, self._state.code = state.value, STATE_CODES[state]

    def end(self) -> None:
        """Terminated: its addresses are free, its interface is gone."""
        self.is_over = True
        for address in self.ec2_backend.addresses:
            if address.instance is self:
                self.ec2_backend.disassociate_address(address=address.public_ip)
        self.terminate()

    def forget(self) -> None:
        """EC2 shows it no longer."""
        self.ec2_backend.reservations.pop(self.reservation_id, None)


def mirror_of(backend: EC2Backend, machine: Machine, default_subnet: str, wanted: dict[str, Any]) -> Mirror:
    """Enter the machine into moto's books; `wanted` in the shape of RunInstances' parameters."""
    interfaces = [{**interface} for interface in wanted.get("NetworkInterfaces", ())]
    if not interfaces:
        interfaces = [{"DeviceIndex": 0}]
    subnet_id = wanted.get("SubnetId", default_subnet)
    interfaces[0] = {"SubnetId": subnet_id, **interfaces[0], "DeleteOnTermination": True}
    groups = [backend.get_security_group_by_name_or_id(name) for name in wanted.get("SecurityGroups", ())]
    groups += [
        backend.get_security_group_from_id(group_id) for group_id in wanted.get("SecurityGroupIds", ())
    ]
    mirror = Mirror(  # type: ignore[abstract]  # only what CloudFormation asks is missing
        backend,
        machine.image_id,
        None,
        [group for group in groups if group is not None],
        instance_type=machine.pool.instance_type,
        nics=interfaces,
        private_ip=wanted.get("PrivateIpAddress"),
        associate_public_ip=None,
        key_name=wanted.get("KeyName"),
        metadata_options=wanted.get("MetadataOptions", {}),
        lifecycle="spot" if machine.mode is Mode.SPOT else None,
        client_token=machine.token,
        ebs_optimized=wanted.get("EbsOptimized", False),
        monitoring_state="enabled" if wanted.get("Monitoring", {}).get("Enabled") else "disabled",
        disable_api_termination=wanted.get("DisableApiTermination", False),
        instance_initiated_shutdown_behavior=wanted.get("InstanceInitiatedShutdownBehavior"),
        region_name=backend.region_name,
    )
    mirror.id = machine.instance_id
    mirror.wanted = wanted
    mirror.show(machine.state)
    reservation = Reservation(random_reservation_id(), owner_id=backend.account_id)
    mirror.reservation_id = reservation.id
    reservation.instances.append(mirror)
    backend.reservations[reservation.id] = reservation
    profile = wanted.get("IamInstanceProfile", {})
    if profile:
        backend.associate_iam_instance_profile(mirror.id, profile.get("Name"), profile.get("Arn"))
    return mirror
