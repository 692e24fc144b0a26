"""RunInstances: one instance, in exactly one pool."""

from __future__ import annotations

from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.devices import mappings
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.filters import tag_specifications
from spotguard.cloud.aws.instance_views import instance_view
from spotguard.cloud.aws.machines import machine, place
from spotguard.domain.instances import Mode
from spotguard.ports.cloud import InstanceView, LaunchRequest

# One-time: a persistent request comes back by itself (E30). No maximum price: it would raise interruption (E25).
SPOT_MARKET = {
    "MarketType": "spot",
    "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
}


def run(connection: Connection, request: LaunchRequest) -> InstanceView:
    answer = connection.change("run_instances", **parameters(request))
    return read(lambda told: instance_view(told["Instances"][0]), answer)


def parameters(request: LaunchRequest) -> dict[str, Any]:
    """The same request gives the same parameters: EC2 compares them when a token comes again."""
    kinds = ["instance", "volume", "network-interface"]
    told: dict[str, Any] = {
        "ClientToken": request.token,
        "ImageId": request.image_id,
        "InstanceType": request.pool.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        **machine(request.shape, request.pool.instance_type),
        **place(request.shape, request.pool),
    }
    if request.mode is Mode.SPOT:
        told["InstanceMarketOptions"] = SPOT_MARKET
        kinds.append("spot-instances-request")
    if request.user_data:
        told["UserData"] = request.user_data  # boto3 encodes it
    if request.block_devices:
        told["BlockDeviceMappings"] = mappings(request.block_devices, request.shape)
    if request.tags:
        told["TagSpecifications"] = tag_specifications(request.tags, *kinds)
    return told
