"""What workloads live through under enforced permissions, and what is left to look at afterwards."""

from dataclasses import dataclass

from spotguard.planning.permissions.statements import ALLOW, actions_of
from spotguard.simulation.audit import orphans_of
from tests.iam.witness import Witness

ALL = ("web-1", "db-1", "queue-1", "build-1", "cache-1", "mail-1")

# What a run of the moves cannot reach, and where it is reached instead.
NOT_BY_MOVES = {"ec2:DescribeAvailabilityZones": "asked only where a price has no zone id: test_shapes"}


def moved(scene, *kinds):
    """Three workloads, one by each kind of planned move."""
    for name in ALL[: scene.agents_count]:
        scene.configure(name, terminateWaitSeconds=0)
    scene.keeps_its_user_data("web-1")
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


def looked_at(scene, name):
    """Dead without a word, a standby in another zone promoted, and what that lacks counted by a copy of the volume."""
    az = scene.agent(name).az
    elsewhere = next(f"{az[:-1]}{letter}" for letter in "abc" if letter != az[-1])
    scene.configure(name, allowedAzs=[elsewhere], manualReplicaEnabled=True)
    scene.until(lambda: scene.ready_replica(name), minutes=25)
    dead = scene.dies(name)
    scene.until(lambda: scene.agent(name).instance_id != dead, minutes=40)
    scene.configure(name, manualReplicaEnabled=False)
    mine = f"/api/client/agents/{scene.agent(name).id}"
    found = scene.until(lambda: (s := scene.get(mine)["lostState"]) and s["completedAt"] and s, minutes=60)
    assert (found["status"], found["because"]) == ("offered", None)


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


def toured(scene, role, *, died_serving=()):
    """After the run: every record is there, whoever served it, but for what died with its primary."""
    for name in set(ALL[: scene.agents_count]).difference(died_serving):
        scene.assert_no_record_lost_or_doubled(name)
    left = set(orphans_of(scene.world))
    return Toured(scene.witness, role, left)
