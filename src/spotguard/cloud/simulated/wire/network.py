"""The account's default VPC: one default subnet for each zone of the market, under this account's zone ids."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from moto.ec2.models import EC2Backend
from moto.ec2.models.availability_zones_and_regions import Zone
from moto.ec2.models.subnets import Subnet
from moto.ec2.utils import random_subnet_id

DEFAULT_CIDR = "172.31.0.0/16"  # AWS's own for a default VPC
_SUBNET_BITS = 4  # /20 of a /16


def lay_out(backend: EC2Backend, zone_ids: Mapping[str, str], cidr: str) -> dict[str, Subnet]:
    """Replace moto's default VPC, whose zones are not the market's; the new subnets by zone."""
    region = backend.region_name
    zones = [Zone(name=az, region_name=region, zone_id=zone_id) for az, zone_id in sorted(zone_ids.items())]
    # On the instance: the class attribute is shared by all accounts of the process.
    backend.zones = {region: zones}
    for table in (backend.subnets, backend.network_acls, backend.route_tables, backend.groups, backend.vpcs):
        table.clear()
    vpc = backend.default_vpc = backend.create_vpc(cidr, is_default=True)
    blocks = ip_network(cidr).subnets(prefixlen_diff=_SUBNET_BITS)
    subnets: dict[str, Subnet] = {}
    for zone, block in zip(zones, blocks, strict=False):
        subnet = Subnet(  # type: ignore[abstract]  # only what CloudFormation asks is missing
            backend,
            random_subnet_id(),
            vpc.id,
            str(block),
            None,
            zone,
            default_for_az=True,
            map_public_ip_on_launch=True,
        )
        backend.associate_default_network_acl_with_subnet(subnet.id, vpc.id)
        backend.subnets[zone.name][subnet.id] = subnet
        subnets[zone.name] = subnet
    return subnets
