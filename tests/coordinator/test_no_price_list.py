"""The price list does not answer (it is refused, or its one region is down): what it has no part in goes on."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.switches import MoveKind
from spotguard.store import prices
from spotguard.store.tables import agents, instances, storage_resources
from tests.cloud.scene import ONDEMAND
from tests.coordinator.scene import A, B, Scene


@pytest.fixture
def scene():
    scene = Scene(executor=Executor.SERVER)
    refusal = NeedsPerson("AccessDeniedException", "pricing:GetProducts")
    for call in ("storage_rates", "ondemand_prices"):
        scene.ec2.faults.sometimes(call, 1.0, lambda: refusal)
    return scene


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    return agent


def test_the_volumes_of_its_owners_instance_outlive_it(scene, agent):
    """Its root dies with it as EC2 makes it: the only copy of what lies there would be gone with the first notice."""
    (view,) = scene.ec2.describe_instances([scene.serving(agent)])
    assert view.volumes
    assert not any(volume.delete_on_termination for volume in view.volumes)


def test_a_death_is_recovered_from_its_volume(scene, agent):
    old = scene.serving(agent)
    scene.ec2.controls.fail_instance(old)
    scene.run(900, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    assert scene.last_move(agent).kind == MoveKind.VOLUME


def test_spot_prices_come_from_ec2_and_go_on(scene, agent):
    scene.run(4000)
    known = scene.db.read(
        lambda tx: prices.current_prices(tx, scene.now, scene.client_id, [A.instance_type], A.region)
    )
    assert A.id in {one.pool.id for one in known if one.price is not None}


def test_savings_are_of_the_type_on_which_it_began(scene, agent):
    """However dear the type is to which it moved before its on-demand price was known."""
    scene.switch(agent, B)
    scene.run(900, until=lambda: scene.agent(agent).current_pool_id == B.id)
    became = {"instance_type": "c5.large"}
    here = instances.update().where(instances.c.id == scene.serving(agent))
    scene.db.write(lambda tx: [tx.execute(one.values(**became)) for one in (here, agents.update())])
    assert scene.agent(agent).baseline_ondemand_price is None
    scene.ec2.faults.clear()
    scene.run(7200, until=lambda: scene.agent(agent).baseline_ondemand_price is not None)
    assert scene.agent(agent).baseline_ondemand_price == ONDEMAND[A.region, A.instance_type]


def test_what_it_costs_is_written_when_it_answers_again(scene, agent):
    scene.ec2.faults.clear()
    scene.run(7200)
    unknown = storage_resources.c.usd_per_gib_month.is_(None), storage_resources.c.kind == "volume"
    assert scene.rows(storage_resources, *unknown) == []
