"""Commands take effect once, and only what the agent may do is done."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from spotguard.domain.errors import Doubtful, PoolDry
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import MoveKind, Step
from spotguard.ports.cloud import BlockDevice
from spotguard.ports.server import Reply
from tests.agent.server import FakeServer
from tests.agent.stage import STATE, TAGS, Stage
from tests.cloud.scene import A, B, C


def answered(stage, order, seconds=120):
    stage.run(seconds, until=lambda: order.result is not None)
    return order.result


def state_of(stage, instance_id):
    return stage.ec2.describe_instances([instance_id])[0].state


def test_a_stale_epoch_is_refused():
    stage = Stage()
    primary = stage.primary()
    switch = stage.server.open_move(MoveKind.SYNCED, epoch=7, launch=stage.order_launch(B))
    stage.run(30)
    result = stage.server.orders[stage.server.moves[switch].command_id].result
    assert result["status"] == "refused"
    assert "epoch 7" in result["message"]
    assert stage.register.serving() == [primary.instance_id]


def test_an_expired_command_is_refused():
    stage = Stage()
    primary = stage.primary()
    order = stage.server.order(
        primary.instance_id, "terminate_instance", {"instance_id": "i-12345678"}, seconds=-1
    )
    assert answered(stage, order)["status"] == "refused"


@pytest.mark.parametrize(
    ("command_type", "payload"),
    [
        ("drill", {}),
        ("dance", {}),
        ("switch", {"switch_id": "x"}),
        ("switch", {"switch_id": "x", "kind": "synced", "epoch": "NaN"}),
        ("terminate_instance", {"instance_id": "i-placeholder"}),
        ("launch_replica", {"replica_id": "r"}),
    ],
)
def test_what_does_not_read_is_refused_and_nothing_happens(command_type, payload):
    stage = Stage()
    primary = stage.primary()
    order = stage.server.order(primary.instance_id, command_type, payload)
    assert answered(stage, order)["status"] == "refused"
    assert stage.register.serving() == [primary.instance_id]
    assert len(stage.ec2.describe_instances()) == 1


def test_delivered_again_it_returns_the_recorded_outcome():
    stage = Stage()
    primary = stage.primary()
    other = stage.launch(B)
    stage.run(20)
    order = stage.server.order(primary.instance_id, "terminate_instance", {"instance_id": other})
    first = answered(stage, order)
    order.status, order.result = "pending", None
    assert answered(stage, order) == first
    assert first["status"] == "completed"


def test_it_never_ends_itself_nor_what_is_not_its_own():
    stage = Stage()
    primary = stage.primary()
    strangers = stage.launch(B)
    machine = stage.ec2._world.machines[strangers]
    machine.tags, machine.view = {**TAGS, "spotguard:agent": "somebody-else"}, None
    for victim in (primary.instance_id, strangers):
        order = stage.server.order(primary.instance_id, "terminate_instance", {"instance_id": victim})
        assert answered(stage, order)["status"] == "refused"
    stage.run(30)
    assert state_of(stage, primary.instance_id) is InstanceState.RUNNING
    assert state_of(stage, strangers) is InstanceState.RUNNING


def test_without_ec2_it_says_so():
    stage = Stage()
    primary = stage.primary()
    primary.cloud = None
    primary.restart()
    order = stage.server.order(primary.instance_id, "terminate_instance", {"instance_id": "i-12345678"})
    result = answered(stage, order)
    assert result["status"] == "refused"
    assert "no access to EC2" in result["message"]


def replica_order(stage, pool):
    launch = stage.order_launch(pool, (BlockDevice(STATE, 20),))
    launch |= {"token_seed": "replica-1", "user_data": stage.server.user_data("enrol-replica-1")}
    stage.server.enrolments["enrol-replica-1"] = "replica-1"
    return {"replica_id": "replica-1", "launch": launch}


def test_it_launches_a_standby_for_a_server_that_cannot_and_clears_it_away():
    stage = Stage()
    primary = stage.primary()
    order = stage.server.order(primary.instance_id, "launch_replica", replica_order(stage, B))
    result = answered(stage, order)
    assert result["status"] == "completed"
    standby = result["result"]["instance_id"]
    stage.run(120)
    assert standby in stage.hosts
    volumes = [v.volume_id for v in stage.ec2.describe_instances([standby])[0].volumes]
    gone = stage.server.order(
        primary.instance_id, "retire_replica", {"replica_id": "replica-1", "instance_id": standby}
    )
    assert answered(stage, gone, 200)["status"] == "completed"
    assert state_of(stage, standby) is InstanceState.TERMINATED
    stage.run(60)
    assert stage.ec2.describe_volumes(volumes) == ()


def test_a_look_without_an_answer_fails_no_standby():
    stage = Stage()
    primary = stage.primary()
    wish = replica_order(stage, B)
    wish["launch"]["block_devices"] = []  # then the agent looks at its own
    stage.ec2.faults.next("describe_instances", Doubtful("ChildLost"))
    order = stage.server.order(primary.instance_id, "launch_replica", wish)
    assert answered(stage, order)["status"] == "completed"


def test_the_standby_is_shaped_as_the_primary():
    stage = Stage()
    primary = stage.primary()
    machine = stage.ec2._world.machines[primary.instance_id]
    machine.shape = replace(machine.shape, key_name="key")
    order = stage.server.order(primary.instance_id, "launch_replica", replica_order(stage, B))
    result = answered(stage, order)["result"]
    assert result["remarks"] == []
    assert stage.ec2.describe_shape(result["instance_id"]).key_name == "key"


def test_a_dry_pool_is_the_servers_to_answer():
    stage = Stage()
    primary = stage.primary()
    stage.ec2.controls.make_dry(C)
    order = stage.server.order(primary.instance_id, "launch_replica", replica_order(stage, C))
    result = answered(stage, order)
    assert result["status"] == "failed"
    assert "InsufficientInstanceCapacity" in result["message"]
    assert result["result"] == {"refused": [C.id], "refused_ondemand": []}


@pytest.mark.parametrize("at_once", [False, True])
def test_it_climbs_the_ladder_that_it_was_given_and_tells_who_refused(at_once):
    stage = Stage()
    primary = stage.primary()
    stage.ec2.controls.make_dry(C)
    order = replica_order(stage, C)
    places = [{"pool_id": C.id, "mode": "spot"}, {"pool_id": B.id, "mode": "ondemand"}]
    order["launch"] |= {"candidates": places, "at_once": at_once}
    result = answered(stage, stage.server.order(primary.instance_id, "launch_replica", order))["result"]
    assert (result["pool_id"], result["mode"]) == (B.id, "ondemand")
    assert result["refused"] == ([] if at_once else [C.id]), (
        "a fleet does not tell which of its pools refused"
    )
    (view,) = stage.ec2.describe_instances([result["instance_id"]])
    assert (view.pool.id, view.mode) == (B.id, "ondemand")


def test_the_successor_ends_the_old_one_and_reports_it():
    stage = Stage()
    old = stage.primary()
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(600, until=lambda: Step.OPENED in stage.server.moves[switch].recorded)
    new = stage.server.moves[switch].new
    payload = {"instance_id": old.instance_id, "switch_id": switch}
    order = stage.server.order(new, "terminate_instance", payload, epoch=2)
    assert answered(stage, order)["status"] == "completed"
    stage.run(60)
    assert Step.OLD_ENDED in stage.server.moves[switch].recorded
    assert state_of(stage, old.instance_id) is InstanceState.TERMINATED
    assert stage.register.serving() == [new]
    stage.nothing_lost()


def test_before_it_ends_the_old_one_it_asks_what_its_user_says_now():
    stage = Stage()
    old = stage.primary()
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(600, until=lambda: Step.OPENED in stage.server.moves[switch].recorded)
    payload = {"instance_id": old.instance_id, "switch_id": switch}
    order = stage.server.order(stage.server.moves[switch].new, "terminate_instance", payload, epoch=2)
    stage.server.auto_terminate = False
    assert answered(stage, order)["status"] == "refused"
    assert state_of(stage, old.instance_id) is InstanceState.RUNNING


def test_who_has_let_go_ends_nobody_any_more():
    """EC2 gives no answer until the workload is back on the old one, on its user's word: it serves there."""
    stage = Stage()
    old = stage.primary()
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(600, until=lambda: Step.OPENED in stage.server.moves[switch].recorded)
    new = stage.server.moves[switch].new
    stage.ec2.faults.sometimes("describe_instances", 1.0)
    payload = {"instance_id": old.instance_id, "switch_id": switch, "clear": True}
    order = stage.server.order(new, "terminate_instance", payload, epoch=2)
    stage.run(30)
    back = stage.server.open_move(MoveKind.SYNCED, target={"instance_id": old.instance_id})
    stage.run(300, until=lambda: Step.OPENED in stage.server.moves[back].recorded)
    stage.ec2.faults.clear()
    assert answered(stage, order)["status"] == "refused"
    stage.run(120)
    assert state_of(stage, old.instance_id) is InstanceState.RUNNING
    assert stage.register.serving() == [old.instance_id]
    stage.nothing_lost()


def test_a_move_to_a_dry_pool_unwinds_with_the_reason():
    stage = Stage()
    old = stage.primary()
    stage.ec2.faults.next("run_instance", PoolDry("InsufficientInstanceCapacity"))
    switch = stage.server.open_move(MoveKind.IMAGE, launch=stage.order_launch(B, ()))
    stage.run(900, until=lambda: stage.register.serving() == [])
    stage.run(900)
    assert stage.register.serving() == [old.instance_id]
    result = stage.server.orders[stage.server.moves[switch].command_id].result
    assert result["status"] == "failed"
    assert "InsufficientInstanceCapacity" in result["message"]
    assert result["result"]["refused"] == [B.id]


def test_an_image_move_whose_server_is_lost_reopens_by_itself():
    stage = Stage()
    old = stage.primary()
    stage.server.open_move(MoveKind.IMAGE, launch=stage.order_launch(B, ()))
    stage.run(20, until=lambda: stage.register.serving() == [])
    stage.server.away = True
    stage.run(3000)
    assert stage.register.serving() == []
    stage.run(900)
    assert stage.register.serving() == [old.instance_id], "an hour without getting on is enough"


def test_a_volume_move_that_is_given_up_brings_the_volume_back():
    stage = Stage()
    old = stage.primary()
    devices = (BlockDevice(STATE, no_device=True),)
    switch = stage.server.open_move(MoveKind.VOLUME, launch=stage.order_launch(A, devices))
    stage.run(600, until=lambda: stage.register.serving() == [])
    stage.server.moves[switch].status = "unwound"
    stage.run(120)
    assert stage.register.serving() == [old.instance_id]
    assert STATE in [v.device for v in stage.ec2.describe_instances([old.instance_id])[0].volumes]
    stage.nothing_lost()


def test_an_on_demand_instance_that_was_stopped_and_started_asks_before_it_serves():
    from spotguard.domain.instances import Mode

    stage = Stage()
    old = stage.primary(mode=Mode.ONDEMAND)
    stage.ec2.controls.stop(old.instance_id)
    stage.run(60)
    stage.ec2.controls.start(old.instance_id)
    stage.server.away = True
    stage.run(20)
    old.restart()
    stage.run(100)
    assert stage.register.serving() == []
    assert old.primacy.held is None
    stage.server.away = False
    stage.run(120)
    assert stage.register.serving() == [old.instance_id]


class LongPolls(FakeServer):
    """Holds a poll for as long as it asks, unless it names another configuration than the newest."""

    polls = 0

    def call(self, method, path, **more):
        if "pending-commands" in path:
            self.polls += 1
            asked = {name: float(values[0]) for name, values in parse_qs(urlsplit(path).query).items()}
            if asked["config_version"] == self.config_version:
                self.clock.time += timedelta(seconds=asked["wait"])
        return super().call(method, path, **more)


def test_a_configuration_that_cannot_be_fetched_does_not_make_polls_go_round_in_a_circle():
    stage = Stage()
    stage.server = LongPolls(stage.clock)
    desk = stage.primary().agent.desk
    desk.settings = replace(desk.settings, command_wait_seconds=25)
    polling = stage.hosts[desk.instance_id].agent.duties["commands"]
    stage.server.config_version += 1
    stage.server.refuse["config"] = Reply(503, {"detail": "not now"})
    stage.server.polls, begun = 0, stage.clock.now()
    while stage.clock.now() < begun + timedelta(minutes=2):
        assert polling.run(stage.clock.now()) == stage.clock.now(), "asked again at once"
        assert stage.server.polls < 10
    assert stage.server.polls == 6, "the first is answered at once, the others after 25 s each"
    assert "presence" in desk.bells.take(), "which is to fetch it all the same"
