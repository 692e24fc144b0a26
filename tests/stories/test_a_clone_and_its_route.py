"""A clone of a restore point is no target of its original's load balancer: its agent does not announce it, and what got
there otherwise (an agent of an older version lies in the image) is taken away with its drill.
"""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import told_of
from spotguard.ports.traffic import Endpoint
from tests.stories.scene import Scene
from tests.stories.test_restore_drills import begin, clone_of, ended, with_a_point


@pytest.fixture
def routed(request):
    """A scene whose workload is behind a load balancer and has a restore point, and its target group."""
    scene = Scene(executor=request.param)
    route = scene.world.ec2.traffic.add_target_group()
    scene.configure(traffic=told_of(route))
    scene.wait(minutes=5)
    with_a_point(scene)
    begin(scene, "restore")
    yield scene, route
    scene.close()


@pytest.mark.parametrize("routed", list(Executor), indirect=True)
def test_it_is_never_a_target_of_its_originals_load_balancer(routed):
    scene, route = routed
    clone, traffic = clone_of(scene), scene.world.ec2.traffic
    seen = set()

    def over():
        seen.update(traffic.targets(route))
        return scene.get(f"/api/client/agents/{scene.agent().id}/drills")["items"][0]["completedAt"]

    scene.until(over, minutes=30)
    assert seen == {scene.agent().instance_id}
    assert clone not in seen


@pytest.mark.parametrize("routed", list(Executor), indirect=True)
def test_one_that_an_older_agent_has_announced_is_withdrawn_before_it_ends(routed):
    scene, route = routed
    clone, traffic = clone_of(scene), scene.world.ec2.traffic
    scene.until(lambda: scene.instance(clone).boot_id, minutes=20)
    traffic.announce(route, Endpoint(InstanceId(clone), scene.instance(clone).private_ip))
    assert ended(scene, minutes=30)["status"] == "passed"
    assert traffic.targets(route) == {scene.agent().instance_id}


@pytest.mark.parametrize("routed", [Executor.AGENT], indirect=True)
def test_a_load_balancer_that_refuses_holds_up_no_end_of_a_clone(routed):
    scene, _ = routed
    refused = NeedsPerson("AccessDenied", "no such right")
    scene.world.ec2.faults.sometimes("withdraw", 1.0, lambda: refused)
    assert ended(scene, minutes=30)["status"] == "passed"
