"""What carries our tag and names no agent: told to whom it belongs, once, and forgotten when it is gone."""

from decimal import Decimal

import pytest

from spotguard.coordinator.foundlings import Foundlings
from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.tags import AGENT_TAG, CLIENT_TAG, MANAGED_TAG
from spotguard.planning.cleaning import SEEN_TWICE
from spotguard.ports.cloud import LaunchRequest
from spotguard.store import leftover_report, ondemand, tenants
from spotguard.store.tables import agent_events, foundlings
from tests.coordinator.scene import A, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def volume(scene, **tags):
    tags = {MANAGED_TAG: "story", **tags}
    return scene.ec2.create_volume(ClientToken(f"volume-{len(tags)}"), A.az, 10, tags)


def look(scene, *clients, name="one"):
    """By a coordinator that remembers nothing."""
    Foundlings(scene.new_coordinator(name).ctx).look(scene.now, clients or [scene.client_id])


def told(scene):
    rows = scene.rows(agent_events, agent_events.c.kind == "leftover_found")
    return [(row.client_id, row.detail["resource_id"]) for row in rows]


def reported(scene, client_id=None):
    found = scene.db.read(lambda tx: leftover_report.report(tx, scene.now, client_id))
    return {one.resource_id for one in found}


def test_any_number_of_looks_and_coordinators_tell_it_once(scene):
    made = volume(scene)
    for name in ("one", "two", "one"):
        look(scene, name=name)
        scene.run(120)
    assert told(scene) == [(scene.client_id, made)]
    assert reported(scene, scene.client_id) == {made}


def test_it_is_told_what_it_costs_and_what_that_becomes(scene):
    disk = volume(scene)
    own = {MANAGED_TAG: "story", CLIENT_TAG: scene.client_id}
    machine = scene.ec2.run_instance(
        LaunchRequest(ClientToken("by-hand"), A, Mode.ONDEMAND, scene.image, own)
    )
    scene.mute.add(machine.instance_id)  # no agent is on it
    scene.run(60)
    look(scene)
    events = told(scene)

    def costs():
        found = scene.db.read(lambda tx: leftover_report.report(tx, scene.now, scene.client_id))
        return {one.resource_id: one.usd_per_month for one in found}

    assert costs()[disk] == 10 * scene.ec2.storage_rates().volume_usd_per_gib_month
    for usd in (Decimal("0.1"), Decimal("0.2")):
        prices = {A.instance_type: usd}
        scene.db.write(lambda tx, told=prices: ondemand.record(tx, scene.now, None, A.region, told))
        look(scene)
        assert costs()[machine.instance_id] == usd * 730
    assert told(scene) == events, "a new price is no new event"


def test_an_agent_of_ours_is_somebody_even_after_it_was_deleted(scene):
    agent = scene.protect()
    scene.run(60)
    volume(scene, **{CLIENT_TAG: scene.client_id, AGENT_TAG: agent})
    look(scene)
    assert scene.rows(foundlings) == []
    another = volume(scene, **{CLIENT_TAG: scene.client_id, AGENT_TAG: "another", "Name": "x"})
    look(scene)
    assert told(scene) == [(scene.client_id, another)]


def test_in_an_account_of_two_nobody_is_told_of_what_names_neither(scene):
    """Tenants are walls: the operator alone sees it."""
    other, _ = scene.db.write(lambda tx: tenants.create_client(tx, scene.now, "them"))
    theirs = volume(scene, **{CLIENT_TAG: other})
    nobodys = volume(scene)
    look(scene, scene.client_id, other)
    assert told(scene) == [(other, theirs)]
    assert reported(scene, scene.client_id) == set()
    assert reported(scene, other) == {theirs}
    assert reported(scene) == {theirs, nobodys}


def test_what_is_gone_is_forgotten_a_minute_later(scene):
    made = volume(scene)
    scene.clock.time += SEEN_TWICE
    look(scene)
    scene.ec2.delete_volume(made)
    look(scene)
    assert reported(scene) == {made}, "one look may be EC2's eventual consistency"
    scene.clock.time += SEEN_TWICE
    look(scene)
    assert reported(scene) == set()
    assert told(scene) == [(scene.client_id, made)]
