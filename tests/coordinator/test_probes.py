"""Probes against EC2: bought, ended at once, remembered once and charged, whatever fails and wherever we die."""

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.cloud.simulated.physics import fixed
from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.errors import NeedsPerson, QuotaReached, Refused
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.ports.shape import Shape, UserDataPolicy
from spotguard.simulation.trouble import CLOUD_EFFECTS, Death, Mortal, ProcessDied, Trouble
from spotguard.simulation.troubled_database import MortalDatabase
from spotguard.store import grants, ledger, probes, quarantine, registration
from spotguard.store.tables import agent_events, instances, ledger_entries, pool_looks, storage_resources
from spotguard.store.tables import decisions as decision_rows
from spotguard.store.tables import intentions as intention_rows
from spotguard.store.tables import probes as probe_rows
from tests.cloud.scene import A, B, C
from tests.coordinator.scene import Scene

MOST_EFFECTS = 40
POOLS = (A, B, C)


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def careful(scene, usd_per_day="1", minute_value_usd=Decimal(2), **config):
    """On demand, with a minute so dear that a pool has to prove itself before it is taken, and a budget for looks."""
    agent = scene.protect(mode=Mode.ONDEMAND, minute_value_usd=minute_value_usd, **config)
    pays(scene, usd_per_day)
    return agent


def pays(scene, usd_per_day):
    scene.db.write(lambda tx: probes.set_budget(tx, scene.now, scene.client_id, Decimal(usd_per_day)))


def looked(scene, *where):
    return sorted(scene.rows(probe_rows, *where), key=lambda row: row.created_at)


def over(scene):
    return looked(scene, probe_rows.c.status == "over")


def first(scene, seconds=600):
    scene.run(seconds, until=lambda: bool(over(scene)))
    return over(scene)[0]


def made(scene):
    return scene.rows(instances, instances.c.probe_id.is_not(None))


def seen(scene, pool):
    return scene.rows(pool_looks, pool_looks.c.pool_id == pool.id)


def machine(scene, instance_id):
    return scene.ec2.world.machines[InstanceId(instance_id)]


def left_running(scene):
    return [m for m in scene.ec2.world.machines.values() if "spotguard:probe" in m.tags and m.is_live]


def test_without_a_budget_nothing_is_ever_launched_only_to_look(scene):
    careful(scene, usd_per_day="0")
    scene.run(1800)
    assert scene.rows(probe_rows) == scene.rows(intention_rows) == []


def test_a_look_is_launched_ended_remembered_and_over(scene):
    agent = careful(scene)
    one = first(scene)
    assert (one.pool_id, one.up, one.agent_id) == (C.id, True, agent), "the cheapest is worth most"
    assert one.usd == Decimal("0.000516667"), "a minute of 0.031 USD/h"
    assert machine(scene, one.instance_id).state is InstanceState.TERMINATED
    assert [(look.up, look.because) for look in seen(scene, C)] == [
        (True, f"a probe: {one.instance_id} was launched")
    ]
    scene.run(900)
    assert {row.pool_id for row in over(scene)} == {pool.id for pool in POOLS}, (
        "each once: no more is due yet"
    )
    assert all(len(seen(scene, pool)) == 1 for pool in POOLS)
    assert not left_running(scene)
    assert scene.serving(agent) not in {row.id for row in made(scene)}
    assert scene.breaches() == []


def test_what_is_launched_to_look_has_nothing_of_its_original_but_its_image(scene):
    owners = Shape(
        security_groups=("sg-web",),
        instance_profile="arn:aws:iam::1:instance-profile/web",
        public_ip=True,
        owner_tags={"team": "shop"},
        user_data_policy=UserDataPolicy.KEEP,
        user_data="#!/bin/sh\nstart-selling",
    )
    for group in (*owners.security_groups, "sg-shut"):
        scene.ec2.controls.make_group(group)
    careful(scene, shape=owners, quarantine_group="sg-shut")
    looks = machine(scene, first(scene).instance_id)
    assert looks.shape.security_groups == ("sg-shut",)
    assert (looks.shape.instance_profile, looks.shape.public_ip, looks.shape.owner_tags) == (None, False, {})
    assert looks.user_data == ""
    assert looks.tags["spotguard:purpose"] == "probe"
    assert "team" not in looks.tags


def test_a_pool_that_refuses_costs_nothing_is_seen_down_and_gets_no_strike(scene):
    careful(scene)
    for pool in POOLS:
        scene.ec2.controls.make_dry(pool)
    one = first(scene)
    assert (one.up, one.usd, one.instance_id) == (False, 0, None)
    assert [look.up for look in seen(scene, C)] == [False]
    struck = scene.db.read(lambda tx: quarantine.of_client(tx, scene.client_id))[C.id]
    assert (struck.strikes, struck.until - one.completed_at) == (0, timedelta(minutes=5))
    scene.run(900)
    assert len(seen(scene, C)) == 1, "nobody looks again before anything can have changed"
    assert sum(row.usd for row in looked(scene)) == 0
    assert made(scene) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (QuotaReached("MaxSpotInstanceCountExceeded"), 0),
        (NeedsPerson("UnauthorizedOperation", "no"), 1),
    ],
)
def test_what_tells_nothing_of_the_pool_is_no_look(scene, error, told):
    careful(scene)
    scene.ec2.faults.next("run_instance", error)
    one = first(scene)
    assert (one.up, one.usd) == (None, 0)
    assert error.code in one.answer
    assert seen(scene, C) == []
    assert len(scene.rows(agent_events, agent_events.c.kind == "probe")) == told
    assert {row.status for row in scene.rows(intention_rows)} == {"failed"}
    scene.run(3600 - 240)
    assert len(looked(scene)) == 1, "what would meet the same is not asked again within the hour"
    scene.run(600)
    assert len(looked(scene)) > 1


def test_a_budget_is_spent_to_its_end_and_not_beyond_and_the_next_day_has_its_own(scene):
    careful(scene, usd_per_day="0.002", minute_value_usd=Decimal("0.1"))
    scene.run(6000)
    spent = sum(row.usd for row in over(scene))
    assert Decimal("0.0013") < spent <= Decimal("0.002"), "less is left than the cheapest look costs"
    tomorrow = probes.today_of(scene.now + timedelta(days=1))
    of_day = lambda since: scene.db.read(lambda tx: probes.spent(tx, scene.client_id, since))  # noqa: E731
    assert (of_day(probes.today_of(scene.now)), of_day(tomorrow)) == (spent, 0)


def test_under_the_kill_switch_nothing_is_looked_at(scene):
    careful(scene)

    scene.turn(KillLevel.VOLUNTARY)
    scene.run(600)
    assert looked(scene) == []
    scene.turn(KillLevel.NONE)
    first(scene)


def test_while_somebody_looks_for_a_place_in_earnest_nothing_is_looked_at():
    scene = Scene(executor=Executor.AGENT)
    mover = scene.protect("db", pool=A, auto_switch_enabled=False)
    scene.guests[scene.serving(mover)].stuck = True
    scene.run(60)
    opened = scene.switch(mover, B)
    careful(scene)
    scene.run(900, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert looked(scene) == []
    first(scene)


@pytest.mark.parametrize(
    "cap",
    [{"max_instances": 2}, {"max_hourly_usd": Decimal("0.15")}, {"max_launches_per_hour": 0}],
    ids=str,
)
def test_a_probe_takes_nobodys_place_below_a_cap(scene, cap):
    """One instance at 0.096 runs: beside a probe a real launch has to fit."""
    careful(scene)
    scene.limit(**cap)
    scene.run(600)
    assert looked(scene) == []


def test_probes_use_none_of_the_launches_that_real_work_has(scene):
    agent = careful(scene, auto_switch_enabled=True)
    scene.limit(max_launches_per_hour=1)
    scene.run(900)
    assert len(made(scene)) == 1, "they keep to the cap among themselves"
    scene.config(agent, auto_switch_enabled=False)
    scene.switch(agent, B)
    with pytest.raises(Refused, match=r"under way|1 launches within the last hour"):
        scene.switch(agent, C)
    assert scene.breaches() == []


def test_whoever_has_little_to_lose_looks_at_a_pool_by_going_there(scene):
    agent = scene.protect(mode=Mode.ONDEMAND, min_pool_hours=0)  # its minute is worth ten on demand
    pays(scene, "1")
    scene.run(900, until=lambda: scene.agent(agent).current_pool_id == C.id)
    assert seen(scene, C)[0].because.endswith("was launched")
    assert looked(scene, probe_rows.c.pool_id == C.id) == []


def proposes(scene):
    """Whether the engine would take a pool now."""
    rows = scene.rows(decision_rows)
    return rows and max(rows, key=lambda row: row.decided_at).inputs["expected"]["gain_usd"] > 0


@pytest.mark.parametrize(("usd_per_day", "waits"), [("1", True), ("0", False), ("0.001", False)])
def test_who_can_look_waits_until_the_pool_is_proven_and_who_cannot_goes_at_once(scene, usd_per_day, waits):
    """Too small a budget watches nothing: waiting for it would never end."""
    careful(scene, usd_per_day=usd_per_day, minute_value_usd=Decimal("0.2"))
    scene.run(300)
    assert bool(proposes(scene)) is not waits


def test_a_budget_that_no_server_can_spend_keeps_nobody_waiting():
    """The client's instances are called for by their agents: this server has no EC2 of theirs."""
    scene = Scene(executor=Executor.AGENT)
    careful(scene, minute_value_usd=Decimal("0.2"))
    scene.run(130)  # the prices came from EC2
    scene.has_cloud = False
    scene.db.write(lambda tx: tx.execute(sa.delete(probe_rows)))
    scene.run(600)
    assert looked(scene) == []
    assert proposes(scene)
    assert "this client has none" in scene.rows(agent_events, agent_events.c.kind == "probe")[0].message


# --- whatever fails ---------------------------------------------------------------------------------------------------


def charged(scene, resource_id):
    rows = scene.rows(ledger_entries, ledger_entries.c.resource_id == resource_id)
    return sum((row.usd for row in rows), Decimal(0)), {row.kind for row in rows}


def test_one_whose_answer_was_lost_is_found_ended_charged_and_no_second_is_made(scene):
    careful(scene)
    scene.ec2.controls.hide_new(fixed(25))
    scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    one = first(scene)
    (row,) = made(scene)[:1]
    assert len([m for m in scene.ec2.world.machines.values() if m.tags.get("spotguard:probe") == one.id]) == 1
    assert (one.up, one.instance_id) == (True, row.id)
    assert len(seen(scene, C)) == 1
    pays(scene, "0")
    scene.run(1800)
    scene.db.write(lambda tx: ledger.settle(tx, scene.now))
    assert machine(scene, row.id).runs, "it has run for a while"
    usd, kinds = charged(scene, row.id)
    assert kinds == {"probe"}
    assert usd == scene.ec2.bill().by_resource[row.id].quantize(Decimal("1e-9")) > 0
    assert one.usd >= usd, "the budget was charged no less"


def test_every_disk_of_a_probe_is_charged_and_gone(scene):
    careful(scene)
    scene.run(1200)
    pays(scene, "0")
    scene.run(300)
    scene.db.write(lambda tx: ledger.settle(tx, scene.now))
    theirs = [v for v in scene.ec2.world.volumes.values() if v.tags.get("spotguard:purpose") == "probe"]
    assert len(theirs) >= 3
    bill = scene.ec2.bill().by_resource
    for volume in theirs:
        assert volume.deleted_at is not None
        assert charged(scene, volume.volume_id)[0] == bill[volume.volume_id].quantize(Decimal("1e-9"))
    assert (
        scene.rows(storage_resources, storage_resources.c.ended_at.is_(None), storage_resources.c.is_ours)
        == []
    )


def test_an_answer_that_comes_too_late_is_given_up_looked_for_ended_and_still_a_look(scene):
    careful(scene)
    scene.ec2.controls.hide_new(fixed(200))
    scene.ec2.faults.sometimes("run_instance", 1.0, after_effect=True)
    scene.run(180, until=lambda: bool(left_running(scene)))
    scene.mute.update(m.instance_id for m in left_running(scene))
    scene.run(180, until=lambda: bool(looked(scene, probe_rows.c.status == "ending")))
    scene.ec2.faults.clear()
    one = first(scene, seconds=900)
    assert (one.up, one.answer) == (True, "EC2 gave no answer in time")
    assert one.usd >= Decimal("0.0005")
    assert seen(scene, C)[0].up is True
    assert not left_running(scene)


def test_one_that_ends_by_itself_before_its_answer_is_known_is_not_launched_anew(scene):
    careful(scene)
    scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    scene.ec2.controls.hide_new(fixed(25))
    scene.run(180, until=lambda: bool(left_running(scene)))
    (lost,) = left_running(scene)
    scene.ec2.controls.fail_instance(lost.instance_id)
    one = first(scene)
    theirs = [m for m in scene.ec2.world.machines.values() if m.tags.get("spotguard:probe") == one.id]
    assert (theirs, one.up) == ([lost], True)


def test_an_agent_in_its_image_is_refused_and_never_served_by(scene):
    agent = careful(scene)
    scene.run(600, until=lambda: bool(made(scene)))
    row = made(scene)[0]
    newcomer = registration.Newcomer(
        logical_agent_id="web",
        instance_id=InstanceId(row.id),
        boot_id="1",
        pool=C,
        mode=Mode.SPOT,
        ami_id=scene.image,
        agent_version="test",
        hostname="x",
        private_ip=None,
        public_ip=None,
    )
    with pytest.raises(Refused, match="only to see whether its pool has capacity"):
        scene.db.write(lambda tx: registration.register(tx, scene.now, scene.client_id, newcomer))
    held = scene.db.read(lambda tx: grants.holder(tx, agent))
    assert not scene.db.read(lambda tx: grants._may_hold(tx, row, agent, posthumous=True))
    assert held.instance_id != row.id


# --- wherever we die --------------------------------------------------------------------------------------------------


def dies(scene, trouble):
    """Passes of a coordinator that gets no further than that effect; True: it died."""
    first_one = scene.coordinator
    cloud = Mortal(scene.ec2, trouble, CLOUD_EFFECTS)
    mortal = Coordinator(
        MortalDatabase(scene.db, trouble),
        lambda _client: cloud,
        scene.clock,
        first_one.ctx.settings,
        scene.wakeup,
    )
    for _ in range(8):
        try:
            mortal.run_pass()
        except ProcessDied:
            return True
        if over(scene):
            return False
        scene.clock.time += timedelta(seconds=5)
        scene.ec2.happenings()
    return False


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("dry", [False, True], ids=["up", "dry"])
def test_after_a_death_at_any_effect_the_next_one_ends_it_and_one_look_is_written(before, dry):
    for number in range(1, MOST_EFFECTS):
        scene = Scene(executor=Executor.SERVER)
        careful(scene)
        scene.run(15)  # the pass before the one that looks
        for pool in POOLS if dry else ():
            scene.ec2.controls.make_dry(pool)
        died = dies(scene, Trouble(Random(1), death=Death(number, before=before)))
        if looked(scene):
            pays(scene, "0")
        scene.coordinator, scene.next_pass = scene.new_coordinator("two"), scene.now
        one = first(scene, seconds=900)
        pays(scene, "0")
        scene.run(60)
        machines = [m for m in scene.ec2.world.machines.values() if m.tags.get("spotguard:probe") == one.id]
        where = f"effect {number}"
        assert (left_running(scene), len(machines) <= 1) == ([], True), where
        told = [row.up for row in over(scene) if row.pool_id == C.id and row.up is not None]
        assert [look.up for look in seen(scene, C)] == told, where
        assert (one.up is True) == bool(machines), where
        if not died:
            assert number > 5, "it has something to die at"
            return
    pytest.fail("it never got to its end")
