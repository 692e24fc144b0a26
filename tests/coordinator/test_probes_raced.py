"""Probes beside somebody else: a second coordinator, a person, an emergency that begins a moment later."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.coordinator.agenda import Agenda
from spotguard.coordinator.coordinator import Coordinator
from spotguard.coordinator.probes import MOST_PER_PASS
from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.store import probes, tenants
from spotguard.store.tables import intentions
from spotguard.store.tables import probes as probe_rows
from tests.cloud.scene import A, C
from tests.coordinator.scene import Scene


@pytest.fixture
def scene():
    found = Scene(executor=Executor.SERVER)
    found.protect(mode=Mode.ONDEMAND, minute_value_usd=Decimal(2))
    pays(found, "1")
    return found


def pays(scene, usd_per_day):
    scene.db.write(lambda tx: probes.set_budget(tx, scene.now, scene.client_id, Decimal(usd_per_day)))


def looked(scene):
    return sorted(scene.rows(probe_rows), key=lambda row: row.created_at)


def asked(scene):
    return scene.rows(intentions, intentions.c.probe_id.is_not(None))


def launched(scene):
    return [m for m in scene.ec2.world.machines.values() if "spotguard:probe" in m.tags]


class Interrupted:
    """EC2 as one coordinator sees it: something else happens the first time that this method is called."""

    def __init__(self, inner: Any, method: str, happens: Any) -> None:
        self._inner, self._method, self._happens = inner, method, happens

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._happens is not None and self.is_time():
            happens, self._happens = self._happens, None
            happens()
        return getattr(self._inner, name)

    def is_time(self) -> bool:
        return True


class WhileOrdered(Interrupted):
    """Not before a probe waits."""

    def __init__(self, scene: Scene, method: str, happens: Any) -> None:
        super().__init__(scene.ec2, method, happens)
        self._scene = scene

    def is_time(self) -> bool:
        return bool(looked(self._scene))


def one_that_sees(scene, cloud):
    first = scene.coordinator
    return Coordinator(scene.db, lambda _client: cloud, scene.clock, first.ctx.settings, scene.wakeup)


def test_what_another_coordinator_has_given_up_is_not_asked_for_any_more(scene):
    """One has read the probe and is about to write its intention; meanwhile it is called off, and is over."""
    other = scene.new_coordinator("two")

    def called_off():
        pays(scene, "0")
        other.run_pass()
        assert [row.status for row in looked(scene)] == ["over"]

    slow = one_that_sees(scene, WhileOrdered(scene, "describe_shape", called_off))
    slow.run_pass()
    assert looked(scene)
    assert asked(scene) == []
    assert launched(scene) == []
    slow.run_pass()
    assert [(row.status, row.usd) for row in looked(scene)] == [("over", 0)]


def test_an_unanswered_look_gives_way_to_a_launch_in_earnest(scene):
    """Nothing has come of it yet: to ask again would take the capacity that the emergency needs."""
    agent_id = looked_at_by(scene)
    scene.ec2.faults.sometimes("run_instance", 1.0)
    scene.run(180, until=lambda: bool(asked(scene)))
    scene.ec2.faults.clear()
    scene.switch(agent_id, A)
    scene.ec2.faults.next("run_instance", lost_answer())  # the move's own
    scene.run(60)
    assert launched(scene) == []
    assert looked(scene)[0].answer == "web looks for a place to move to"


def looked_at_by(scene):
    return next(iter(scene.guests.values())).agent_id


def test_a_budget_that_is_lowered_binds_the_look_that_was_bought_under_the_old_one(scene):
    lowered = WhileOrdered(scene, "describe_instances", lambda: pays(scene, "0.0001"))
    slow = one_that_sees(scene, lowered)
    scene.ec2.faults.sometimes("run_instance", 1.0)
    slow.run_pass()
    scene.ec2.faults.clear()
    assert [row.status for row in looked(scene)] == ["waiting"]
    slow.run_pass()
    assert launched(scene) == []


def test_a_freeze_that_is_over_stops_no_look(scene):
    duty = scene.coordinator.probes
    pays(scene, "0")
    scene.run(130)  # what it is to decide by is known
    pays(scene, "1")
    duty.run(scene.now, Agenda(), {scene.client_id: "a third of the agents fell silent"})
    scene.clock.time += timedelta(minutes=3)
    duty.order_due(scene.now, {}, scene.coordinator.decide.judge)
    assert [(row.pool_id, row.up) for row in looked(scene)] == [(C.id, True)]


def test_many_tenants_look_in_turn_so_that_no_pass_is_long(scene):
    """The next emergency waits until a pass is over, whosever it is."""
    everybody = {scene.client_id}
    for number in range(4):
        scene.client_id, _ = scene.db.write(
            lambda tx, name=f"us-{number}": tenants.create_client(
                tx, scene.now, name, executor=Executor.SERVER
            )
        )
        scene.protect(f"web-{number}", mode=Mode.ONDEMAND, minute_value_usd=Decimal(2))
        pays(scene, "1")
        everybody.add(scene.client_id)
    launches = []
    for _ in range(40):
        before = len(looked(scene))
        scene.run(5)
        launches.append(len(looked(scene)) - before)
    assert max(launches) == MOST_PER_PASS < len(everybody)
    assert {row.client_id for row in looked(scene)} == everybody


def test_another_tenants_instance_that_names_the_probe_is_none_of_it(scene):
    """Its owner can write any tag on it: neither is it ended, nor is it waited for."""
    scene.ec2.faults.sometimes("terminate_instance", 1.0)
    scene.run(180, until=lambda: bool(launched(scene)))
    scene.mute.update(m.instance_id for m in launched(scene))
    mine, (one,) = scene.client_id, looked(scene)
    scene.client_id, _ = scene.db.write(lambda tx: tenants.create_client(tx, scene.now, "them"))
    their_agent = scene.protect("theirs")
    theirs = scene.serving(their_agent)
    scene.ec2.controls.tag(theirs, {"spotguard:probe": one.id})
    scene.run(60)
    scene.client_id = mine
    pays(scene, "0")
    scene.ec2.faults.clear()
    scene.run(600, until=lambda: looked(scene)[0].status == "over")
    assert scene.serving(their_agent) == theirs
    assert scene.ec2.world.machines[theirs].is_live
