"""Moves of workloads that clients know by an address, a name or a load balancer: both executors, calm and disturbed."""

from types import SimpleNamespace

import pytest

from spotguard.coordinator.traffic import TrafficDuty
from spotguard.domain.agents import Executor
from spotguard.domain.errors import Doubtful, NeedsPerson, Throttled
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.domain.traffic import told_of
from spotguard.store import claims
from tests.primacy.test_forgotten import damage
from tests.stories.scene import Scene

each_executor = pytest.mark.parametrize("executor", list(Executor))
ROUTES = ("elastic-ip", "target-group", "dns")


class Watched(Scene):
    """A scene in which somebody looks at every instant where clients go, and who serves there."""

    def __init__(self, executor, driver="elastic-ip"):
        super().__init__(executor=executor)
        self.traffic = self.world.ec2.traffic
        self.route = {
            "elastic-ip": self.traffic.add_address,
            "target-group": self.traffic.add_target_group,
            "dns": lambda: self.traffic.add_zone("web.example.internal", ttl_seconds=120),
        }[driver]()
        self.seen = 0
        told = told_of(self.route)
        self.configure(traffic=told)
        self.until(self.arrived, minutes=5)

    def arrived(self):
        """Clients reach the holder, and nobody else."""
        return self.traffic.leads_to(self.route) == {self.agent().instance_id}

    def until(self, comes_true, **span):
        return super().until(lambda: (self.look(), comes_true())[1], **span)

    def look(self):
        if not hasattr(self, "route"):
            return
        holder = self.agent().instance_id
        serving = set(self.world.registers["web-1"].serving())
        served = self.traffic.leads_to(self.route) & serving
        assert served <= {holder}, f"{served} serve clients, {holder} holds the epoch"
        new, self.seen = self.traffic.orders[self.seen :], len(self.traffic.orders)
        assert {order.instance_id for order in new} <= {holder}, "traffic was sent to one without the epoch"

    def moved(self):
        return self.has_recorded(Step.TRAFFIC_MOVED)

    def timing(self):
        return self.switches()[-1].timing_data


@each_executor
@pytest.mark.parametrize("driver", ROUTES)
def test_clients_follow_a_planned_move_and_never_reach_one_without_the_epoch(executor, driver):
    scene = Watched(executor, driver)
    old = scene.agent().instance_id
    scene.force_to_spot()
    scene.until(scene.moved, minutes=5)
    scene.until(scene.arrived, minutes=5)
    assert scene.agent().instance_id != old
    assert scene.timing()["instance_ready_at"] <= scene.timing()["traffic_moved_at"]
    scene.until(lambda: scene.has_recorded(Step.VERIFIED), minutes=5)
    assert scene.timing()["traffic_moved_at"] <= scene.timing()["verified_at"]
    scene.assert_no_record_lost_or_doubled()
    scene.close()


@each_executor
def test_a_new_holder_that_is_stopped_and_started_before_its_clients_have_followed_completes_the_move(
    executor,
):
    """Its next boot has another epoch, and no order of that move."""
    scene = Watched(executor, "dns")
    scene.force_to_spot()
    scene.until(lambda: scene.switches()[-1].status == "completed", minutes=60)
    path = f"/api/client/instances/{scene.agent().instance_id}/force-switch"
    scene.post(path, {"target": "ondemand"}, expect=202)
    scene.until(lambda: scene.has_recorded(Step.OPENED), minutes=20)
    assert not scene.moved()
    new, number = InstanceId(scene.agent().instance_id), len(scene.switches())
    scene.world.ec2.controls.stop(new)
    scene.wait(minutes=2)
    scene.world.ec2.controls.start(new)
    scene.until(lambda: scene.switches()[number - 1].status == "completed", minutes=60)
    assert scene.agent().instance_id == new
    scene.assert_no_record_lost_or_doubled()
    scene.close()


@each_executor
def test_a_successor_is_a_target_before_it_serves_and_the_old_one_until_it_has_ended(executor):
    scene = Watched(executor, "target-group")
    scene.configure(terminateWaitSeconds=120)
    old = scene.agent().instance_id
    panel = scene.get(f"/api/client/instances/{old}/pricing")["pools"]
    target = next(pool["id"] for pool in panel if pool["allowed"])
    scene.post(f"/api/client/instances/{old}/force-switch", {"target": "pool", "pool_id": target}, expect=202)
    scene.until(lambda: len(scene.traffic.targets(scene.route)) == 2, minutes=20)
    assert not scene.has_recorded(Step.GRANTED)
    scene.until(scene.moved, minutes=20)
    assert old in scene.traffic.targets(scene.route)
    scene.until(lambda: scene.traffic.targets(scene.route) == {scene.agent().instance_id}, minutes=20)
    assert scene.has_recorded(Step.OLD_ENDED) or not scene.instance(old).is_active
    scene.close()


@each_executor
def test_in_an_emergency_a_standby_behind_a_load_balancer_needs_no_call(executor):
    scene = Watched(executor, "target-group")
    scene.force_to_spot()
    scene.until(scene.moved, minutes=5)
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=15).instance_id
    scene.until(lambda: standby in scene.traffic.targets(scene.route), minutes=5)
    calls = len(scene.traffic.orders)
    scene.aws_gives_notice()
    scene.until(lambda: scene.agent().instance_id == standby, minutes=3)
    scene.until(scene.arrived, minutes=2)
    scene.until(scene.moved, minutes=2)
    assert len(scene.traffic.orders) == calls
    scene.assert_no_record_lost_or_doubled()
    scene.close()


@each_executor
@pytest.mark.parametrize(
    ("error", "after_effect"),
    [
        (Throttled("RequestLimitExceeded"), False),
        (Doubtful("InternalError"), False),
        (Doubtful("RequestTimeout"), True),
        (NeedsPerson("UnauthorizedOperation"), False),
    ],
    ids=["throttled", "5xx", "lost answer", "no permission at first"],
)
def test_a_call_that_came_to_nothing_or_whose_answer_was_lost_is_made_good(executor, error, after_effect):
    scene = Watched(executor)
    before = len(scene.traffic.orders)
    scene.world.ec2.faults.next("switch", error, after_effect=after_effect)
    scene.force_to_spot()
    scene.until(scene.moved, minutes=5)
    assert scene.arrived()
    assert len(scene.traffic.orders) == before + 1
    scene.close()


def test_a_coordinator_that_dies_between_grant_and_traffic_is_continued_by_the_next():
    scene = Watched(Executor.SERVER)
    scene.world.ec2.faults.sometimes("switch", 1.0)  # whatever it asks, it dies over it
    scene.force_to_spot()
    scene.until(lambda: scene.has_recorded(Step.OPENED), minutes=5)
    scene.wait(minutes=1)
    assert not scene.moved()
    scene.world.ec2.faults.clear()
    coordinator = scene.world.seats[0].coordinator
    coordinator.traffic = TrafficDuty(coordinator.ctx)  # what it remembered is lost
    scene.until(scene.moved, minutes=2)
    assert scene.arrived()
    scene.close()


@each_executor
def test_what_somebody_else_took_away_is_fetched_back(executor):
    scene = Watched(executor)
    holder = scene.agent().instance_id
    scene.traffic.detach(scene.route)
    assert not scene.arrived()
    scene.until(scene.arrived, minutes=10)
    assert scene.traffic.leads_to(scene.route) == {holder}
    scene.close()


def test_the_old_one_stays_and_a_person_is_told_while_its_clients_cannot_be_moved():
    scene = Watched(Executor.SERVER)
    scene.configure(terminateWaitSeconds=0)
    old = scene.agent().instance_id
    scene.world.ec2.faults.sometimes("switch", 1.0, lambda: NeedsPerson("UnauthorizedOperation"))
    scene.force_to_spot()
    scene.wait(minutes=30)
    assert not scene.has_recorded(Step.VERIFIED)
    assert scene.instance(old).is_active
    told = scene.get(f"/api/client/agents/{scene.agent().id}/events")["items"]
    assert {"traffic_stuck", "step_late"} <= {event["kind"] for event in told}
    scene.close()


@each_executor
def test_a_disabled_agents_traffic_is_left_alone_once_its_move_is_done(executor):
    scene = Watched(executor)
    scene.configure(enabled=False)
    scene.traffic.detach(scene.route)
    scene.wait(minutes=15)
    assert scene.traffic.leads_to(scene.route) == frozenset()
    scene.configure(enabled=True)
    scene.until(scene.arrived, minutes=10)
    scene.close()


def test_while_all_is_stopped_no_traffic_is_fetched_back():
    """After an older copy of the database was put back, its holder may not be the one that clients reach and need."""
    scene = Watched(Executor.SERVER)
    scene.put("/api/client/kill-switch", {"level": "all", "reason": "restored"})
    scene.traffic.detach(scene.route)
    scene.wait(minutes=15)
    assert scene.traffic.leads_to(scene.route) == frozenset()
    scene.put("/api/client/kill-switch", {"level": "none", "reason": "looked at"})
    scene.until(scene.arrived, minutes=10)
    scene.close()


def test_nor_from_one_that_says_that_it_holds_a_newer_epoch():
    scene = Watched(Executor.SERVER)
    scene.configure(manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=15).instance_id
    agent = scene.agent()
    caller = SimpleNamespace(
        client_id=agent.client_id,
        agent_id=agent.id,
        instance_id=standby,
        epoch=agent.epoch,
        claimed_epoch=None,
        claimed_boot=None,
        boot_id="boot",
    )
    db, now = scene.world.db, scene.world.clock.now()
    db.write(lambda tx: claims.told(tx, now, caller, agent.epoch + 1, released=None))
    scene.traffic.detach(scene.route)
    scene.wait(minutes=15)
    assert scene.traffic.leads_to(scene.route) == frozenset()
    scene.close()


def test_the_time_to_live_of_a_record_is_part_of_the_downtime_that_is_shown():
    scene = Watched(Executor.SERVER, "dns")
    scene.force_to_spot()
    switch = scene.switches()[-1]
    plan, alone = switch.plan, {"synced": 0.2, "volume": 0.5}[switch.kind]
    assert plan["traffic"]["driver"] == "dns"
    assert plan["traffic"]["seconds"] == 120 + 60
    assert "120 s" in plan["traffic"]["because"]
    assert float(plan["downtime_minutes"]) == pytest.approx(alone + 3.0)
    scene.close()


def test_a_private_address_keeps_its_workload_in_its_zone():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.agent()
    route = scene.world.ec2.traffic.add_private_ip("10.0.0.77", agent.az)
    told = told_of(route)
    scene.post(f"/api/client/agents/{agent.id}/config", {"traffic": told}, expect=422)
    scene.configure(traffic=told, allowedAzs=[agent.az])
    scene.post(f"/api/client/agents/{agent.id}/config", {"allowedAzs": []}, expect=422)
    pools = scene.get(f"/api/client/instances/{agent.instance_id}/pricing")["pools"]
    far = next(pool["id"] for pool in pools if pool["az"] != agent.az)
    near = next(pool["id"] for pool in pools if pool["az"] == agent.az and pool["allowed"])

    def forced(pool, expect):
        wish = {"target": "pool", "pool_id": pool}
        return scene.post(f"/api/client/instances/{agent.instance_id}/force-switch", wish, expect=expect)

    assert agent.az in forced(far, 409)["detail"]
    forced(near, 202)
    scene.until(lambda: scene.switches() and scene.has_recorded(Step.TRAFFIC_MOVED), minutes=20)
    assert scene.world.ec2.traffic.leads_to(route) == {scene.agent().instance_id}
    assert scene.agent().instance_id != agent.instance_id
    scene.close()


def test_a_new_holder_whose_memory_is_damaged_before_its_clients_have_followed_completes_the_move():
    scene = Scene(executor=Executor.AGENT, troubled=True)
    route = scene.world.ec2.traffic.add_zone("web.example.internal", ttl_seconds=120)
    scene.configure(traffic=told_of(route))
    scene.until(lambda: scene.world.ec2.traffic.leads_to(route) == {scene.agent().instance_id}, minutes=5)
    scene.force_to_spot()
    promotions = lambda: [c for c in scene.commands() if c.command_type == "promote"]  # noqa: E731
    scene.until(lambda: [c for c in promotions() if c.status == "completed"], minutes=5)
    assert not scene.has_recorded(Step.TRAFFIC_MOVED)
    damage(scene, InstanceId(scene.agent().instance_id))
    scene.wait(minutes=60)
    assert scene.switches()[-1].status == "completed"
    assert [c.status for c in promotions()] == ["completed"] * 2
    assert scene.events("step_late") == []
    scene.close()
