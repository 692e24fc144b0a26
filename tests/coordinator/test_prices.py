"""Prices that the server fetches: what one region tells is said of no other."""

import sqlalchemy as sa

from spotguard.store.tables import agents
from tests.cloud.scene import ONDEMAND
from tests.coordinator.scene import A, Scene


def test_an_agent_is_measured_by_the_on_demand_price_of_its_own_region():
    scene = Scene()
    here, elsewhere = scene.protect("here"), scene.protect("elsewhere")

    def forget(tx: sa.Connection) -> None:
        tx.execute(sa.update(agents).values(baseline_ondemand_price=None))
        tx.execute(sa.update(agents).where(agents.c.id == elsewhere).values(region="eu-west-1"))

    scene.db.write(forget)
    scene.coordinator = scene.new_coordinator()
    scene.run(60)
    assert scene.agent(here).baseline_ondemand_price == ONDEMAND[A.region, A.instance_type]
    assert scene.agent(elsewhere).baseline_ondemand_price is None
