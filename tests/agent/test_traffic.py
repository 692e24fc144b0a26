"""The holder's agent moves the traffic, by script and by AWS: interrupted around the call, told once it is there."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.switches import MoveKind, Step
from spotguard.domain.traffic import Script, told_of
from spotguard.ports.traffic import Arrival, Reading
from spotguard.store.tables import agent_events
from tests.agent.stage import Crash
from tests.agent.test_with_the_server import ServedStage
from tests.cloud.scene import B


class Router:
    """What the user's script moves: one entry, and who asked for it."""

    def __init__(self):
        self.to, self.calls = None, []
        self.crashes = []  # "before" or "after" the effect, one for each call

    def announce(self, route, to):
        """Nothing."""

    def withdraw(self, route, instance_id):
        """Nothing."""

    def switch(self, route, handing):
        crash = self.crashes.pop(0) if self.crashes else None
        if crash == "before":
            raise Crash
        former = handing.former and handing.former.instance_id
        self.to = handing.to.instance_id
        self.calls.append((handing.epoch, former, self.to))
        if crash == "after":
            raise Crash

    def read_back(self, route, handing, receipt):
        here = self.to == handing.to.instance_id
        return Reading(Arrival.HERE if here else Arrival.ELSEWHERE, "story")


def moving(route, router=None, executor=Executor.AGENT):
    """A stage whose workload has this route, and has just been ordered to move."""
    stage = ServedStage(executor)
    stage.script = router
    old = stage.primary()
    stage.set(terminate_wait_seconds=60, traffic=told_of(route(stage)))
    stage.set(config_version=stage.agent().config_version + 1)
    stage.run(120)
    stage.open_move(MoveKind.SYNCED, B)
    return stage, old


@pytest.mark.parametrize("executor", list(Executor))
def test_the_script_runs_on_the_holder_whoever_calls_aws(executor):
    router = Router()
    stage, old = moving(lambda _: Script(), router, executor)
    assert router.calls == [(1, None, old.instance_id)]
    stage.run(1800, lambda: Step.PRUNED in stage.steps())
    new = stage.switch().new_instance_id
    assert router.calls[1:] == [(2, old.instance_id, new)]
    assert stage.switch().status == "completed"
    assert stage.steps().index(Step.OPENED) < stage.steps().index(Step.TRAFFIC_MOVED)
    stage.nothing_lost()


def test_what_a_script_of_the_former_holder_moves_back_is_fetched_again_a_minute_later():
    router = Router()
    stage, old = moving(lambda _: Script(), router)
    stage.run(1800, lambda: Step.TRAFFIC_MOVED in stage.steps())
    stage.run(30)
    router.to = old.instance_id
    stage.run(31)
    assert router.to == stage.switch().new_instance_id


@pytest.mark.parametrize("crash", ["before", "after"])
def test_an_agent_that_dies_over_the_script_repeats_it_only_if_it_did_not_take_effect(crash):
    router = Router()
    stage, old = moving(lambda _: Script(), router)
    router.crashes = [crash]
    stage.run(1800, lambda: Step.PRUNED in stage.steps())
    new = stage.switch().new_instance_id
    assert stage.hosts[new].crashes == 1
    assert router.calls[1:] == [(2, old.instance_id, new)]
    stage.nothing_lost()


@pytest.mark.parametrize("crash", ["before", "after"])
def test_an_agent_that_dies_over_the_call_to_aws_repeats_it_only_if_it_did_not_take_effect(crash):
    stage, old = moving(lambda stage: stage.ec2.traffic.add_address())
    stage.ec2.faults.next("switch", Crash(), after_effect=crash == "after")
    stage.run(1800, lambda: Step.PRUNED in stage.steps())
    new = stage.hosts[stage.switch().new_instance_id]
    assert new.crashes == 1
    assert [order.instance_id for order in stage.ec2.traffic.orders] == [old.instance_id, new.instance_id]
    assert stage.switch().status == "completed"
    stage.nothing_lost()


def test_it_is_told_once_although_it_is_looked_at_for_ever():
    router = Router()
    stage, _ = moving(lambda _: Script(), router)
    stage.run(1800, lambda: Step.PRUNED in stage.steps())
    new = stage.hosts[stage.switch().new_instance_id]
    stage.run(3600)
    assert len(router.calls) == 2
    router.to = "somebody else"
    stage.run(600)
    assert router.to == new.instance_id
    assert new.agent.desk.outbox.dead_letters() == []


def test_without_a_route_nothing_is_moved():
    stage = ServedStage()
    stage.primary()
    stage.open_move(MoveKind.SYNCED, B)
    stage.run(1800, lambda: Step.VERIFIED in stage.steps())
    assert Step.TRAFFIC_MOVED in stage.steps()
    assert stage.ec2.traffic.orders == []


def test_a_script_that_this_agent_was_not_given_is_told_to_people_and_once():
    stage, _ = moving(lambda _: Script(), None)
    stage.run(900)
    assert Step.OPENED in stage.steps()
    assert Step.TRAFFIC_MOVED not in stage.steps()
    kind = agent_events.c.kind == "traffic_stuck"
    (stuck,) = stage.db.read(lambda tx: tx.execute(agent_events.select().where(kind)).all())
    assert "name traffic_script and traffic_check in this agent's settings" in stuck.message
