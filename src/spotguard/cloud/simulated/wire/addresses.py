"""Secondary private addresses: moved between interfaces of one subnet, as EC2 does; moto leaves them there."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from moto.core.responses import ActionResult
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

from spotguard.cloud.simulated.wire.answers import Answers
from spotguard.cloud.simulated.wire.errors import WireError


class AddressAnswers(Answers):
    """AssignPrivateIpAddresses; Elastic IPs are moto's own."""

    def assign_private_ip_addresses(self) -> ActionResult:
        interface = self.ec2_backend.get_network_interface(self.text("NetworkInterfaceId"))
        wanted = [str(address) for address in self.items("PrivateIpAddresses")]
        may_move = self.data.get("AllowReassignment", ["false"])[0] == "true"
        for address in wanted:
            if ip_address(address) not in ip_network(interface.subnet.cidr_block):
                raise WireError("InvalidParameterValue", f"{address} is not in {interface.subnet.cidr_block}")
            for other in self._others_with(address, interface):
                if not may_move or other.private_ip_address == address:
                    raise WireError("InvalidParameterValue", f"{address} is assigned to {other.id}")
                other.private_ip_addresses = [
                    a for a in other.private_ip_addresses if a.get("PrivateIpAddress") != address
                ]
        answer: ActionResult = super().assign_private_ip_addresses()
        return answer

    def _others_with(self, address: str, interface: NetworkInterface) -> list[NetworkInterface]:
        return [
            other
            for other in self.ec2_backend.enis.values()
            if other.id != interface.id
            and other.subnet.id == interface.subnet.id
            and any(a.get("PrivateIpAddress") == address for a in other.private_ip_addresses)
        ]
