"""Everything that the moves do, done with the policies of `spotguard iam policy` and nothing else, over the wire.

moto enforces the actions; every call is judged besides, with its resources, tags and conditions, by the same policies.
"""

from dataclasses import dataclass

import pytest

from spotguard.domain.agents import Executor
from spotguard.planning.permissions.statements import ALLOW, actions_of
from spotguard.simulation.audit import orphans_of
from tests.iam.scene import enforced
from tests.iam.witness import Witness

ALL = ("web-1", "db-1", "queue-1", "build-1", "cache-1", "mail-1")

# What a run of the moves cannot reach, and where it is reached instead.
NOT_BY_MOVES = {
    "ec2:DescribeAvailabilityZones": "asked only where a price has no zone id: test_shapes",
    "ec2:DescribeSubnets": "a clone's shape: test_shapes",
    "ec2:DescribeInstanceCreditSpecifications": "a clone's shape: test_shapes",
    "ec2:DescribeInstanceAttribute": "a clone's shape: test_shapes",
    "ec2:DescribeInstanceTypes": "which other types would do: test_shapes",
}


def moved(scene, *kinds):
    """Three workloads, one by each kind of planned move."""
    for name in ALL[: scene.agents_count]:
        scene.configure(name, terminateWaitSeconds=0)
    for name, kind in zip(ALL, kinds, strict=False):
        scene.move(name, kind)
    for name, _ in zip(ALL, kinds, strict=False):
        scene.until(lambda name=name: scene.is_through(name), minutes=90)


def with_a_standby(scene, name):
    """One is made and promoted; its successor is retired."""
    scene.configure(name, manualReplicaEnabled=True)
    standby = scene.until(lambda: scene.ready_replica(name), minutes=25)
    scene.post(f"/api/agents/{scene.agent(name).id}/replicas/{standby.id}/promote", {})
    scene.until(lambda: scene.agent(name).instance_id == standby.instance_id, minutes=5)
    scene.until(lambda: scene.ready_replica(name), minutes=25)
    scene.configure(name, manualReplicaEnabled=False)
    scene.until(lambda: not scene.live_replica(name), minutes=5)


def recovered(scene, name, kind):
    """Dead without a word, and brought back."""
    dead = scene.dies(name)
    scene.until(lambda: scene.agent(name).instance_id != dead, minutes=40)
    scene.until(lambda: scene.is_through(name), minutes=30)
    assert [move.kind for move in scene.switches(name) if move.is_recovery][-1] == kind


def restore_points(scene, name):
    items = scene.get(f"/api/client/agents/{scene.agent(name).id}/restore-points")["items"]
    return {point["imageId"] for point in items}


@dataclass(frozen=True)
class Toured:
    """What a run left to look at. `role`: whose policy is in question."""

    witness: Witness
    role: str
    left: set[str]

    @property
    def allowing(self):
        return {
            statement.sid for statement in self.witness.statements[self.role] if statement.effect == ALLOW
        }

    @property
    def not_called(self):
        return set(actions_of(self.witness.statements[self.role])) - set(self.witness.called[self.role])


def toured(scene, role):
    """After the run: every record is there, whoever served it."""
    for name in ALL[: scene.agents_count]:
        scene.assert_no_record_lost_or_doubled(name)
    left = set(orphans_of(scene.world)) - restore_points(scene, "web-1")
    return Toured(scene.witness, role, left)


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
        return toured(scene, scene.server)


@pytest.fixture(scope="module")
def alone():
    """Agents call EC2, the server does not."""
    with enforced(agents=4, executor=Executor.AGENT, server_calls=False) as scene:
        moved(scene, "synced", "volume", "image")
        with_a_standby(scene, "build-1")
        scene.wait(minutes=10)
        return toured(scene, scene.agents)


def test_no_call_of_the_server_goes_beyond_its_policy(served):
    assert served.witness.judged > 1000
    assert served.witness.refused == []
    assert served.left == set()


def test_no_call_of_an_agent_goes_beyond_its_policy(alone):
    assert alone.witness.judged > 100
    assert alone.witness.refused == []


def test_the_server_needs_every_action_of_its_policy(served):
    assert served.not_called == set(NOT_BY_MOVES)


def test_an_agent_needs_every_action_of_its_policy(alone):
    assert alone.not_called == set(NOT_BY_MOVES) - {"ec2:DescribeInstanceTypes"}


def test_every_statement_that_allows_something_was_needed(served, alone):
    for run in (served, alone):
        assert run.allowing - set(run.witness.used[run.role]) == set()


class TestLackingAnAction:
    """The run can fail: without one action of the list it comes to nothing."""

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            ("ec2:RunInstances", "synced"),
            ("ec2:AttachVolume", "volume"),
            ("ec2:DetachVolume", "volume"),
            ("ec2:CreateImage", "image"),
            ("ec2:TerminateInstances", "synced"),
            ("ec2:DeleteVolume", "synced"),
        ],
    )
    def test_the_move_does_not_come_through(self, action, kind):
        with enforced(lacking=(action,)) as scene:
            scene.configure(terminateWaitSeconds=0)
            scene.move("web-1", kind)
            scene.until(lambda: scene.witness.refused, minutes=20)
            scene.wait(minutes=3)
            assert not scene.is_through("web-1")
            assert {request.action for _, request in scene.witness.refused} == {action}

    def test_with_all_of_them_it_does(self):
        with enforced() as scene:
            scene.configure(terminateWaitSeconds=0)
            scene.move("web-1", "synced")
            scene.until(lambda: scene.is_through("web-1"), minutes=20)
