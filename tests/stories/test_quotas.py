"""A quota that is full is told before a move, not found out in it (E8)."""

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.quotas import QuotaClass
from spotguard.market.instance_types import vcpus


def test_an_image_move_is_refused_while_the_quota_is_full_and_its_workload_never_notices(scene):
    """Its gate would be closed before EC2 is asked: minutes without the service, for nothing."""
    web = scene.agent()
    here = f"/api/client/instances/{web.instance_id}"
    pools = scene.get(f"{here}/pricing")["pools"]
    pool = next(pool["id"] for pool in pools if pool["allowed"] and pool["id"] != web.current_pool_id)
    wish = {"target": "pool", "pool_id": pool, "kind": "image"}
    limits = scene.world.ec2.quotas.spot
    limits[QuotaClass.STANDARD] = vcpus(web.instance_type) - 1
    scene.wait(minutes=11)

    for question in ("force-switch/preview", "force-switch"):
        told = str(scene.post(f"{here}/{question}", wish, expect=409))
        assert "the spot quota of class Standard is" in told
        assert "raise the quota (Service Quotas, L-34B43A08), or end something" in told
    scene.wait(minutes=11)
    assert scene.switches() == []
    assert scene.instance(web.instance_id).gate == GateState.OPEN
    (seen,) = scene.world.ec2.describe_instances([InstanceId(web.instance_id)])
    assert seen.mode is Mode.ONDEMAND, "what runs is counted under its own market"

    limits[QuotaClass.STANDARD] = vcpus(web.instance_type)
    scene.wait(minutes=11)
    assert scene.post(f"{here}/force-switch/preview", wish)["kind"] == "image"
    scene.post(f"{here}/force-switch", wish, expect=202)
    scene.until(lambda: scene.agent().current_pool_id == pool, minutes=40)
