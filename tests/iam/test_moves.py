"""All that the server does, done with the policy of `spotguard iam policy operate` and nothing else, over the wire.

moto enforces the actions; every call is judged besides, with its resources, tags and conditions, by the same policy.
"""

import pytest

from spotguard.domain.agents import Executor
from tests.iam.scene import enforced
from tests.iam.tours import NOT_BY_MOVES, looked_at, moved, recovered, restore_points, toured, with_a_standby

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def served():
    """The server calls EC2: all that it does for its agents."""
    with enforced(agents=6, executor=Executor.SERVER) as scene:
        scene.configure("web-1", restorePointHours=1, restorePointsKept=1)
        moved(scene, "synced", "volume", "image")
        first = scene.until(lambda: restore_points(scene, "web-1"), minutes=15)
        with_a_standby(scene, "build-1")
        recovered(scene, "cache-1", "volume")
        scene.nothing_in_the_zone_of("mail-1")
        recovered(scene, "mail-1", "snapshot")
        scene.until(lambda: not first & restore_points(scene, "web-1"), minutes=100)
        looked_at(scene, "build-1")
        return toured(scene, scene.server, died_serving={"build-1"})


def test_no_call_goes_beyond_the_policy(served):
    assert served.witness.judged > 1000
    assert served.witness.refused == []
    assert served.left == set()


def test_every_action_of_the_policy_is_needed(served):
    # asked only where a primary that hangs is to be ended (`fence_after_minutes`)
    assert served.not_called == {*NOT_BY_MOVES, "ec2:DescribeInstanceStatus"}


def test_every_statement_that_allows_something_is_needed(served):
    assert served.allowing - set(served.witness.used[served.role]) == set()
