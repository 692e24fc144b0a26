"""Copies keep the shape, also of what EC2 shows no more; no machine is put on a type on which it would not run."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson, Refused
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.planning.compatibility import TypeFacts
from spotguard.ports.shape import MetadataOptions, Shape
from spotguard.store import fleet, type_facts
from spotguard.store.shapes import MADE_OTHERWISE
from spotguard.store.tables import agent_events, instance_types
from tests.cloud.scene import prices
from tests.coordinator.scene import A, B, Scene

SHAPE = Shape(
    metadata=MetadataOptions(hop_limit=2),
    security_groups=("sg-1", "sg-2"),
    key_name="key",
    instance_profile="arn:aws:iam::123456789012:instance-profile/web",
)
TOLD = agent_events.c.kind == MADE_OTHERWISE


class Lying:
    """An EC2 that forgets the key of what it launches (failures: "lies")."""

    def __init__(self, ec2):
        self._ec2 = ec2

    def __getattr__(self, name):
        return getattr(self._ec2, name)

    def run_instance(self, request):
        return self._ec2.run_instance(replace(request, shape=replace(request.shape, key_name=None)))


@pytest.fixture
def scene():
    made = Scene(executor=Executor.SERVER)
    for group in SHAPE.security_groups:
        made.ec2.controls.make_group(group)
    return made


def shape_of(scene, instance_id):
    return scene.ec2.describe_shape(instance_id)


def looks_alike(scene, instance_id):
    found = shape_of(scene, instance_id)
    kept = ("metadata", "security_groups", "key_name", "instance_profile")
    return all(getattr(found, name) == getattr(SHAPE, name) for name in kept)


def test_a_move_keeps_the_shape_and_the_owners_tags(scene):
    agent = scene.protect(pool=A, shape=SHAPE, terminate_wait_seconds=0)
    scene.run(30)
    opened = scene.switch(agent, B)
    scene.run(1800, until=lambda: scene.move(opened.switch_id).status == "completed")
    new = scene.serving(agent)
    assert looks_alike(scene, new)
    assert shape_of(scene, new).owner_tags == {"Name": "web"}
    assert scene.rows(agent_events, TOLD) == []


def test_a_standby_keeps_the_shape(scene):
    agent = scene.protect(pool=A, shape=SHAPE, manual_replica_enabled=True)
    scene.run(900, until=lambda: any(r.instance_id for r in scene.live_replicas(agent)))
    (replica,) = scene.live_replicas(agent)
    assert looks_alike(scene, replica.instance_id)


def test_what_is_recovered_keeps_the_shape_of_what_is_gone(scene):
    agent = scene.protect(pool=A, shape=SHAPE)
    scene.run(60)
    old = scene.serving(agent)
    scene.ec2.controls.fail_instance(old)
    scene.run(1800, until=lambda: scene.serving(agent) != old)
    assert looks_alike(scene, scene.serving(agent))


def test_what_ec2_made_otherwise_is_told_once(scene):
    agent = scene.protect(pool=A, shape=SHAPE, terminate_wait_seconds=0)
    scene.run(30)
    scene.ec2 = Lying(scene.ec2)
    opened = scene.switch(agent, B)
    scene.run(1800, until=lambda: scene.move(opened.switch_id).status == "completed")
    scene.coordinator = scene.new_coordinator("another")
    scene.run(120)
    (told,) = scene.rows(agent_events, TOLD)
    assert told.message == f"{scene.serving(agent)} is not as it was asked for: key_name is None, not key"


# types

FITS, GRAVITON, SMALL = (Pool(name, "us-east-1b") for name in ("m5a.large", "m6g.large", "c5a.large"))
HISTORY = prices(
    *((pool, -60, usd) for pool, usd in ((A, "0.040000"), (B, "0.036000"))),
    (FITS, -60, "0.030000"),
    (GRAVITON, -60, "0.010000"),
    (SMALL, -60, "0.020000"),
)
ALLOWED = ["m5.large", "m5a.large", "m6g.large", "c5a.large"]


def allowed(scene, agent):
    assessed = scene.db.read(
        lambda tx: fleet.assess_pools(tx, scene.now, scene.client_id, fleet.agent_row(tx, agent))
    )
    return {one.pool.instance_type: one.because for one in assessed if not one.allowed}


@pytest.fixture
def mixed():
    """An agent that may run on four types, of which two would not carry its machine."""
    scene = Scene(executor=Executor.SERVER, prices=HISTORY)
    agent = scene.protect(pool=A, allowed_instance_types=ALLOWED)
    scene.run(60)
    return scene, agent


def test_a_type_on_which_it_would_not_run_is_no_candidate(mixed):
    scene, agent = mixed
    refused = allowed(scene, agent)
    assert set(refused) == {"m6g.large", "c5a.large"}
    assert "it is built for x86_64" in refused["m6g.large"]
    assert "MiB of memory" in refused["c5a.large"]
    row = scene.agent(agent)
    for places in (fleet.places_for_standby, fleet.places_for_emergency):
        found = scene.db.read(lambda tx, places=places: places(tx, scene.now, row))
        assert {place.pool.instance_type for place in found} == {"m5.large", "m5a.large"}
    with pytest.raises(Refused, match="would not run on m6g"):
        scene.switch(agent, GRAVITON)
    scene.switch(agent, FITS)


def test_a_type_of_which_nothing_is_known_is_no_candidate(mixed):
    scene, agent = mixed
    scene.db.write(lambda tx: tx.execute(instance_types.delete()))
    assert set(allowed(scene, agent)) == {"m5a.large", "m6g.large", "c5a.large"}
    assert allowed(scene, agent)["m5a.large"] == "EC2 has not told yet what m5a.large is"


def test_what_ec2_did_not_tell_is_asked_again():
    scene = Scene(executor=Executor.SERVER, prices=HISTORY)
    scene.ec2.faults.next("describe_instance_types", NeedsPerson("UnauthorizedOperation"))
    agent = scene.protect(pool=A, allowed_instance_types=ALLOWED)
    scene.run(60)
    assert "m5a.large" in allowed(scene, agent)
    scene.run(900)
    assert "m5a.large" not in allowed(scene, agent)


def test_the_standby_is_made_where_it_runs(mixed):
    scene, agent = mixed
    scene.config(agent, manual_replica_enabled=True)
    scene.run(900, until=lambda: any(r.instance_id for r in scene.live_replicas(agent)))
    (replica,) = scene.live_replicas(agent)
    assert (replica.instance_type, replica.mode) == ("m5a.large", Mode.SPOT.value)


def test_facts_come_back_from_the_rows_as_they_were(mixed):
    scene, _ = mixed
    stored = scene.db.read(lambda tx: type_facts.known(tx, ALLOWED))
    assert set(stored) == set(ALLOWED)
    assert all(isinstance(one, TypeFacts) for one in stored.values())
    assert stored["m6g.large"].architectures == frozenset({"arm64"})
