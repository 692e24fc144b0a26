"""The real programs, each in its own process, over the wire: a synced move from one pool to another.

Once the server calls EC2, once the agents do and the server has no account at all (ruling B18).
"""

import shutil

import pytest

from spotguard.domain.instances import InstanceState
from spotguard.ports.shape import MetadataOptions, Shape
from tests.wire.processes import REGION, B, Town

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed"),
]
SERVER, AGENT = "server", "agent"


@pytest.fixture
def town(tmp_path, executor):
    with Town(tmp_path, agent_settings=f"calls_ec2 = {str(executor == AGENT).lower()}\n") as town:
        town.start_server()
        account = ["--region", REGION] if executor == SERVER else []
        made = town.run("client", "create", "acme", "--executor", executor, *account)
        town.token = made["token"]
        yield town


@pytest.mark.parametrize("executor", [SERVER, AGENT])
def test_a_synced_move_over_the_wire(town):
    old = town.own_machine(Shape(metadata=MetadataOptions(hop_limit=2)))
    agent = town.until(lambda: agent_of(town, old), seconds=20)
    town.hand_over(old, agent["id"])
    address = town.client.allocate_address(Domain="vpc")["AllocationId"]
    route = {"driver": "elastic-ip", "allocationId": address}
    town.call(
        "POST", f"/api/client/agents/{agent['id']}/config", {"terminateWaitSeconds": 0, "traffic": route}
    )
    target = {"target": "pool", "poolId": B.id, "kind": "synced"}
    town.until(lambda: price_of(town, old, B.id), seconds=20)
    switch = town.call("POST", f"/api/client/instances/{old}/force-switch", target)["switchId"]
    path = f"/api/client/switches/{switch}"
    done = town.until(lambda: ended(town.call("GET", path)), seconds=60)
    assert done["status"] == "completed", done
    new = done["newInstanceId"]
    assert town.serves(new)
    (moved,) = town.client.describe_addresses(AllocationIds=[address])["Addresses"]
    assert moved["InstanceId"] == new
    assert not town.serves(old)
    assert town.state(old) in {InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED}
    assert town.shown(new)["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert {"Key": "team", "Value": "shop"} in town.shown(new)["Tags"]
    # what was written until the gate closed has arrived
    assert (town.home(new) / "state" / "log").read_text() == "written by its owner\nflushed\n"
    assert (town.home(new) / "epochs").read_text() == "2\n"


def agent_of(town, instance_id):
    rows = town.call("GET", "/api/client/agents")
    return next((row for row in rows["items"] if row["instanceId"] == instance_id), None)


def price_of(town, instance_id, pool_id):
    offers = town.call("GET", f"/api/client/instances/{instance_id}/pricing")["pools"]
    return next((offer["price"] for offer in offers if offer["id"] == pool_id), None)


def ended(switch):
    return switch if switch["status"] not in {"preparing", "committed"} else None
