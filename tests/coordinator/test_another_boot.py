"""The holder is stopped and started: what was prepared for its former boot is not granted for the next one's word."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.store import agents as agent_rows
from spotguard.store import moves, releases
from spotguard.store.registration import Newcomer, register
from spotguard.store.secrets import hash_token
from spotguard.store.tables import instances, switches
from tests.coordinator.guests import Guest
from tests.coordinator.scene import A, C, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def registered(scene, machine, boot):
    """The hash of the token that its agent was given."""
    view = scene.ec2.describe_instances([machine])[0]
    newcomer = Newcomer(
        logical_agent_id="web",
        instance_id=machine,
        boot_id=boot,
        pool=view.pool,
        mode=view.mode,
        ami_id=view.image_id,
        agent_version="test",
        hostname="web",
        private_ip=view.private_ip,
        public_ip=None,
        can_sync=True,
    )
    return hash_token(scene.db.write(lambda tx: register(tx, scene.now, scene.client_id, newcomer)).token)


def ready(scene, agent):
    return next((row for row in scene.live_replicas(agent) if row.status == ReplicaStatus.READY), None)


def starts_again(scene, machine):
    scene.clock.time += timedelta(seconds=60)
    scene.ec2.controls.stop(machine)
    scene.clock.time += timedelta(seconds=60)
    scene.ec2.controls.start(machine)
    scene.clock.time += timedelta(seconds=60)


def test_a_move_is_not_granted_when_an_epoch_is_let_go_of_that_came_after_it_was_begun(scene):
    """Its last pass lacks what the next boot has written. No coordinator looks in between."""
    agent = scene.protect(pool=A, manual_replica_enabled=True, terminate_wait_seconds=60)
    first = scene.switch(agent, C, Mode.ONDEMAND, kind=MoveKind.IMAGE)
    scene.run(3600, until=lambda: scene.move(first.switch_id).status == SwitchStatus.COMPLETED)
    old = scene.serving(agent)
    scene.run(600, until=lambda: ready(scene, agent) is not None)
    replica = ready(scene, agent)
    scene.guests[old].stuck = True
    opened = scene.promote(agent, replica.id)
    scene.run(10)

    def sent(tx):
        for step in (Step.SYNCED, Step.GATE_CLOSED, Step.DELTA_SENT):
            moves.record_step(tx, scene.now, opened.switch_id, step, scene.now, old)

    scene.db.write(sent)
    starts_again(scene, old)
    token = registered(scene, old, "2")

    def serves(tx):
        caller = agent_rows.caller_of_token(tx, scene.now, token)
        agent_rows.heartbeat(
            tx,
            scene.now,
            caller,
            mode=Mode.ONDEMAND,
            pool_id=None,
            gate=GateState.OPEN,
            workload_healthy=True,
        )
        return caller.epoch

    epoch = scene.db.write(serves)
    assert epoch == scene.move(opened.switch_id).from_epoch + 1
    scene.clock.time += timedelta(minutes=3)
    assert scene.db.write(lambda tx: releases.heard(tx, scene.now, scene.client_id, agent, old, epoch))
    scene.guests.pop(old)
    scene.mute.add(old)
    scene.coordinator.run_pass()
    assert Step.GRANTED not in scene.steps(opened.switch_id)


@pytest.mark.parametrize("level", [KillLevel.NONE, KillLevel.ALL])
def test_a_recovery_does_not_take_its_workload_from_who_has_come_up_again(scene, level):
    """Under the kill switch `all` it is given nothing yet: nor is the clone of an older image."""
    agent = scene.protect(
        pool=A, mode=Mode.ONDEMAND, state_gib=None, restore_point_hours=1, restore_drill_days=0
    )
    old = scene.serving(agent)
    of_it = sa.update(instances).where(instances.c.id == old)
    scene.db.write(lambda tx: tx.execute(of_it.values(state_on_root=True)))
    scene.run(1800, until=lambda: bool(scene.restore_points(agent)))
    scene.run(1500)
    scene.ec2.controls.stop(old)
    scene.guests.pop(old)
    scene.run(
        600, until=lambda: any(row.new_instance_id for row in scene.rows(switches, switches.c.is_recovery))
    )
    recovery = scene.last_move(agent)
    if level is not KillLevel.NONE:
        scene.turn(level)
    scene.mute.add(old)
    scene.ec2.controls.start(old)
    scene.clock.time += timedelta(seconds=60)
    scene.guests[old] = Guest(old, agent, registered(scene, old, "2"))
    scene.run(1200)
    scene.turn(KillLevel.NONE)
    scene.run(1200)
    assert scene.serving(agent) == old
    assert scene.move(recovery.id).status == SwitchStatus.UNWOUND
    assert scene.running() == {old}
    assert scene.breaches() == []
