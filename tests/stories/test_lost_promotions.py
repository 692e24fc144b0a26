"""What an agent knew of its promotion, or had to tell of it, is lost before its clients have followed: it is told
again, and the move comes to its end.
"""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.domain.traffic import told_of
from tests.primacy.test_silent_standbys import cut
from tests.stories.scene import Scene


class Routed(Scene):
    """Its clients know it by a name, which takes minutes to follow."""

    def __init__(self, executor=Executor.AGENT):
        super().__init__(executor=executor, troubled=True)
        self.route = self.world.ec2.traffic.add_zone("web.example.internal", ttl_seconds=120)
        self.configure(traffic=told_of(self.route), autoSwitchEnabled=False)
        self.until(self.arrived, minutes=5)

    def arrived(self):
        return self.world.ec2.traffic.leads_to(self.route) == {self.agent().instance_id}

    def move(self):
        row = self.agent()
        pool = next(p["id"] for p in self.pools() if p["allowed"] and p["id"] != row.current_pool_id)
        path = f"/api/client/instances/{row.instance_id}/force-switch"
        self.post(path, {"target": "pool", "pool_id": pool}, expect=202)

    def orders(self):
        return [command.status for command in self.commands() if command.command_type == "promote"]

    def opened(self):
        """By its agent's answer to the order; its clients have not followed."""
        self.move()
        self.until(lambda: self.orders() == ["completed"], minutes=30)
        assert not self.has_recorded(Step.TRAFFIC_MOVED)
        return InstanceId(self.agent().instance_id)

    def completes(self, minutes=60):
        self.until(lambda: self.switches()[-1].status == "completed", minutes=minutes)
        self.until(self.arrived, minutes=5)
        self.assert_no_record_lost_or_doubled()


@pytest.fixture
def scene():
    stage = Routed()
    yield stage
    stage.close()


@pytest.mark.long
def test_one_that_was_cut_off_until_its_order_had_expired_is_given_it_again(scene):
    old = scene.agent().instance_id
    scene.move()
    scene.until(lambda: scene.agent().instance_id != old, minutes=30)
    new = scene.agent().instance_id
    cut(scene, new)
    scene.wait(hours=24, minutes=20)
    assert scene.orders() == ["expired"]
    cut(scene, new, lost=0.0)
    scene.completes()
    assert scene.orders() == ["expired", "completed"]


def test_one_that_has_forgotten_its_commands_alone_is_given_it_again(scene):
    """It does not enrol anew, so that nobody hears that it has forgotten."""
    process = scene.world.processes[scene.opened()]
    written = process.disk.read("commands")
    process.disk.replace("commands", bytes([written[0] ^ 1]) + written[1:])
    process.die()
    scene.completes()
    assert scene.orders() == ["completed"] * 2


def test_one_whose_report_is_lost_with_its_outbox_tells_again(scene):
    new = scene.opened()
    cut(scene, new)
    scene.wait(minutes=8)
    assert scene.arrived()
    process = scene.world.processes[new]
    assert b"traffic_moved" in process.disk.read("outbox")
    process.disk.replace("outbox", b"torn\n")
    process.die()
    cut(scene, new, lost=0.0)
    scene.completes()


def test_who_cannot_move_its_clients_is_not_told_more_often_than_every_ten_minutes(scene):
    scene.world.ec2.faults.sometimes("switch", 1.0, lambda: NeedsPerson("UnauthorizedOperation"))
    scene.opened()
    scene.wait(hours=1)
    assert 3 <= len(scene.orders()) <= 7
    assert set(scene.orders()) == {"completed"}
    scene.world.ec2.faults.clear()
    scene.completes()


def test_no_agent_is_told_again_whose_clients_the_server_moves():
    scene = Routed(Executor.SERVER)
    scene.world.ec2.faults.sometimes("switch", 1.0, lambda: NeedsPerson("UnauthorizedOperation"))
    scene.opened()
    scene.wait(hours=1)
    assert scene.orders() == ["completed"]
    scene.close()
