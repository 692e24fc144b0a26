"""Its owner attaches a volume of his to the machine, beside the first or in its place, and the holder dies."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientToken
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.planning.switching import STATE_DEVICE
from spotguard.store import left_for_people
from spotguard.store.tables import storage_resources
from tests.coordinator.scene import A, B, Scene


def served_by_ours(scene):
    """A first move has brought it to a machine that we have launched."""
    agent = scene.protect(pool=A, terminate_wait_seconds=0, auto_switch_enabled=False)
    scene.run(120)
    first = scene.serving(agent)
    scene.switch(agent, B)
    scene.run(1800, until=scene.serves_elsewhere(agent, first))
    scene.run(900)
    return agent


def volume_of_his(scene, agent, az, *, tagged):
    tags = {"Name": "mine"} | ({ADOPTED_TAG: agent} if tagged else {})
    return scene.ec2.create_volume(ClientToken("mine"), az, 40, tags)


def put_in_place(scene, agent, machine, new):
    """While SpotGuard is told to keep its hands off."""
    scene.config(agent, enabled=False)
    scene.run(60)
    scene.ec2.detach_volume(scene.volume_at(machine), machine)
    scene.run(60)
    scene.ec2.attach_volume(new, machine, STATE_DEVICE)
    scene.run(60)
    scene.config(agent, enabled=True)


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_it_goes_along_with_a_recovery_from_a_machine_of_ours(tagged, in_place):
    scene = Scene(executor=Executor.SERVER)
    agent = served_by_ours(scene)
    old, new = scene.serving(agent), volume_of_his(scene, agent, B.az, tagged=tagged)
    scene.run(60)
    if in_place:
        put_in_place(scene, agent, old, new)
    else:
        scene.ec2.attach_volume(new, old, "/dev/sdg")
    scene.run(1800)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(1800, until=scene.serves_elsewhere(agent, old))
    assert scene.holder_of(new) == scene.serving(agent)


@pytest.mark.parametrize("executor", list(Executor))
@pytest.mark.parametrize("dry", [False, True])
def test_what_it_has_replaced_is_in_the_way_of_no_recovery(executor, dry):
    scene = Scene(executor=executor)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(120)
    old = scene.serving(agent)
    put_in_place(scene, agent, old, volume_of_his(scene, agent, A.az, tagged=False))
    scene.run(900)
    for mode in ("spot", "ondemand") if dry else ():
        scene.ec2.controls.make_dry(A, mode=mode)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(3600, until=scene.serves_elsewhere(agent, old))
    assert scene.is_open(agent)


def test_what_it_has_replaced_is_kept_for_a_person():
    scene = Scene(executor=Executor.SERVER)
    agent = served_by_ours(scene)
    old = scene.serving(agent)
    replaced = scene.volume_at(old)
    put_in_place(scene, agent, old, volume_of_his(scene, agent, B.az, tagged=False))
    scene.switch(agent, A)
    scene.run(1800, until=scene.serves_elsewhere(agent, old))
    scene.run(2 * 3600)
    assert scene.holder_of(replaced) is None
    (kept,) = scene.rows(storage_resources, storage_resources.c.id == replaced)
    assert kept.ended_at is None
    told = scene.db.read(left_for_people.of_all)
    assert [one.row.id for one in told] == [replaced]


def test_who_puts_the_first_one_back_has_it_again():
    scene = Scene(executor=Executor.SERVER)
    agent = served_by_ours(scene)
    old = scene.serving(agent)
    first, other = scene.volume_at(old), volume_of_his(scene, agent, B.az, tagged=False)
    put_in_place(scene, agent, old, other)
    scene.run(300)
    put_in_place(scene, agent, old, first)
    scene.run(300)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(1800, until=scene.serves_elsewhere(agent, old))
    assert scene.holder_of(first) == scene.serving(agent)
    assert scene.holder_of(other) is None
