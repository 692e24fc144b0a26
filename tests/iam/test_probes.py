"""A probe asks EC2 for nothing that the role `operate` does not have already, and leaves nothing that was its own."""

from spotguard.simulation.audit import orphans_of
from tests.iam.scene import enforced


def test_operate_is_enough_for_a_probe():
    with enforced(agents=1) as scene:
        scene.configure(minuteValueUsd="2")
        scene.put("/api/client/probes", {"usdPerDay": "1"})

        def over():
            return [one for one in scene.get("/api/client/probes")["items"] if one["status"] == "over"]

        (one, *_) = scene.until(over, minutes=10)
        assert one["up"], one
        assert scene.witness.refused == []
        assert {"ec2:RunInstances", "ec2:TerminateInstances"} <= scene.witness.called[scene.server].keys()
        assert not orphans_of(scene.world)
