"""Prices that the server fetches: what one region tells is said of no other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import Mode
from spotguard.store import prices, tenants
from spotguard.store.tables import agents, instances
from tests.cloud.scene import ONDEMAND
from tests.coordinator.scene import A, B, C, Scene
from tests.store import rows
from tests.store.rows import add

USD_OF_C = Decimal("0.031")  # an hour, as `PRICES` says


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


@pytest.mark.parametrize(
    "dry", [["spot"], ["spot", "ondemand"]], ids=["on demand in its zone", "in another zone"]
)
def test_a_recovery_costs_what_the_place_costs_where_it_was_launched(dry):
    """It is ordered without a place: the ladder chooses that when there is capacity."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(120)
    for mode in dry:
        scene.ec2.controls.make_dry(A, mode=mode)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(3600, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    fixed = ONDEMAND[A.region, A.instance_type]
    spot, saved = {
        A.az: (None, move.old_spot_price - fixed),
        C.az: (USD_OF_C, move.old_spot_price - USD_OF_C),
    }[move.new_az]
    assert move.is_recovery
    assert (move.new_mode == Mode.ONDEMAND) == (spot is None)
    assert (move.new_spot_price, move.savings_impact) == (spot, saved)


@dataclass(frozen=True, eq=False)
class Account:
    """The same EC2 as another account sees it: its letters are of other zones, and so are its prices."""

    ec2: SimulatedEc2
    zones: Mapping[str, str]
    times: int

    def spot_price_history(self, since, types):
        return [
            replace(
                change,
                pool=replace(change.pool, az_id=self.zones[change.pool.az]),
                usd_per_hour=change.usd_per_hour * self.times,
            )
            for change in self.ec2.spot_price_history(since, types)
        ]

    def __getattr__(self, name):
        return getattr(self.ec2, name)


OURS = {A.az: "use1-az1", B.az: "use1-az2", C.az: "use1-az3"}
THEIRS = {A.az: "use1-az3", B.az: "use1-az1", C.az: "use1-az2"}


@pytest.mark.parametrize("order", [(0, 1, 0), (1, 0, 1)], ids=["ours first", "theirs first"])
def test_a_letter_means_another_zone_in_another_account(order: tuple[int, ...]):
    """Prices of a zone come from whose account names it so: neither tenant reads the other's."""
    scene = Scene()
    scene.protect()
    theirs, _ = scene.db.write(lambda tx: tenants.create_client(tx, scene.now, "them"))
    place = {"instance_type": A.instance_type, "region": A.region, "az": A.az, "current_mode": "spot"}
    machine = "i-0fedcba9876543210"
    add(scene.db, agents, **rows.agent(theirs, **place, current_pool_id=A.id))
    add(
        scene.db,
        instances,
        **rows.instance(theirs, id=machine, agent_id="agent-1", **place, current_pool_id=A.id),
    )
    both = [scene.client_id, theirs]
    for whose, zones in zip(both, (OURS, THEIRS), strict=True):
        named = sa.update(instances).where(instances.c.client_id == whose).values(az_id=zones[A.az])
        scene.db.write(lambda tx, named=named: tx.execute(named))
    clouds = {
        client: Account(scene.ec2, zones, n + 1)
        for n, (client, zones) in enumerate(zip(both, (OURS, THEIRS), strict=True))
    }
    scene.coordinator.ctx.clouds = clouds.get
    scene.clock.time += timedelta(minutes=10)
    for place_in_order in order:
        scene.coordinator.prices.run(scene.now, [both[place_in_order]], force=True)

    def told(client: ClientId) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        def work(tx: sa.Connection):
            known = prices.current_prices(tx, scene.now, client, [A.instance_type], A.region)
            now = next(one.price for one in known if one.pool.id == A.id)
            span = scene.now - timedelta(minutes=5), scene.now + timedelta(seconds=1)
            steps = prices.price_steps(tx, client, [A.id], *span)
            mine = instances.c.client_id == client, instances.c.current_pool_id == A.id
            return now, steps[A.id][-1][1], tx.scalar(sa.select(instances.c.spot_price).where(*mine))

        return scene.db.read(work)

    ours = told(scene.client_id)
    assert ours[0] is not None
    assert set(ours) == {ours[0]}
    assert told(theirs) == tuple(2 * usd for usd in ours if usd is not None)
