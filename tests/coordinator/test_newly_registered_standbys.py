"""A standby that has just registered and has not spoken yet: its agent was started anew, and the answer may be lost."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.replicas import ReplicaStatus
from spotguard.planning.presence import DEAF_AFTER
from spotguard.store import fleet
from spotguard.store.tables import switches
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready, registered

MINUTE = timedelta(minutes=1)


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def with_a_standby(scene, **config):
    agent = scene.protect(pool=A, **config)
    if "auto_switch_enabled" in config:
        scene.ec2.controls.signal_rebalance(scene.serving(agent))
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(120)
    return agent, ready(scene, agent)


def facts(scene, agent):
    (standby,) = scene.db.read(lambda tx: fleet.standby_facts(tx, scene.now, agent))
    return standby


def test_a_notice_in_the_seconds_before_its_first_word_is_answered_by_it(scene):
    agent, replica = with_a_standby(scene, manual_replica_enabled=True)
    old = scene.serving(agent)
    scene.guests[replica.instance_id].token_hash = registered(scene, replica.instance_id, "1")
    scene.ec2.controls.interrupt(old, notice_seconds=120)
    scene._signal(old)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).replica_id == replica.id
    assert scene.serving(agent) == replica.instance_id


def test_a_recommendation_needs_no_second_standby_in_those_seconds(scene):
    agent, replica = with_a_standby(scene, auto_switch_enabled=True)
    token_hash = registered(scene, replica.instance_id, "1")
    guest = scene.guests.pop(replica.instance_id)
    scene.run(40)
    assert [row.id for row in scene.live_replicas(agent)] == [replica.id]
    guest.token_hash = token_hash
    scene.guests[replica.instance_id] = guest
    scene.run(300)
    (row,) = scene.live_replicas(agent)
    assert (row.id, row.status) == (replica.id, ReplicaStatus.READY)


def test_who_registers_again_and_again_and_hears_no_answer_is_deaf_after_a_minute(scene):
    """Its requests arrive, the answers are lost: each time it seems to have come this moment."""
    agent, replica = with_a_standby(scene, manual_replica_enabled=True)
    scene.guests.pop(replica.instance_id)
    began = scene.now
    while scene.now - began <= DEAF_AFTER:
        registered(scene, replica.instance_id, "1")
        assert facts(scene, agent).may_take_over
        scene.clock.time += timedelta(seconds=20)
    registered(scene, replica.instance_id, "1")
    assert facts(scene, agent).is_deaf


def test_who_hears_and_registers_anew_later_is_not_deaf_from_before(scene):
    agent, replica = with_a_standby(scene, manual_replica_enabled=True)
    for _ in range(3):
        scene.clock.time += 2 * MINUTE
        scene.guests[replica.instance_id].token_hash = registered(scene, replica.instance_id, "1")
        assert not facts(scene, agent).is_deaf
        scene.live()


def test_a_volume_is_fetched_once_it_proves_to_hear_nothing(scene):
    """The death comes in its first seconds: it is chosen, and waited for a minute."""
    agent, replica = with_a_standby(scene, manual_replica_enabled=True)
    old, volume = scene.serving(agent), scene.volume_at(scene.serving(agent))
    registered(scene, replica.instance_id, "1")
    scene.guests.pop(replica.instance_id)
    scene.mute.add(replica.instance_id)
    scene.ec2.controls.fail_instance(old)
    scene.run(60, until=lambda: bool(scene.rows(switches)))
    chosen = scene.last_move(agent)
    assert (chosen.is_recovery, chosen.replica_id) == (True, replica.id)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    assert scene.move(chosen.id).ended_because == f"{replica.instance_id} hears nothing of the server"
    assert scene.holder_of(volume) == scene.serving(agent) != replica.instance_id
