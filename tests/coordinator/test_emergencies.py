"""Signals and deaths: the workload comes back, once, with what can be had of its state."""

from datetime import timedelta

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.retire import Retire
from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import MoveKind, Step
from spotguard.store.tables import (
    agent_events,
    epoch_grants,
    instances,
    pool_quarantines,
    replica_instances,
    spot_interruption_events,
    storage_resources,
    switches,
)
from tests.coordinator.scene import A, B, C, Scene


def ready(scene, agent):
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    return scene.live_replicas(agent)[0]


def test_a_notice_with_a_ready_standby_promotes_it_before_the_end(scene, agent):
    scene.config(agent, manual_replica_enabled=True)
    standby, old = ready(scene, agent), scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(60, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) == standby.instance_id
    assert scene.last_move(agent).event_trigger == "emergency"
    assert Step.DELTA_SENT in scene.steps(scene.last_move(agent).id)
    event = scene.row(spot_interruption_events)
    scene.run(200)
    event = scene.row(spot_interruption_events)
    assert (event.failover_completed, event.action) == (True, "promote")
    assert A.id in [row.pool_id for row in scene.rows(pool_quarantines)]
    assert ready(scene, agent).pool_id != A.id
    assert scene.breaches() == []


def test_a_ready_standby_goes_before_a_wished_move_whose_new_instance_has_nothing_yet(scene, agent):
    scene.config(agent, manual_replica_enabled=True)
    standby, old = ready(scene, agent), scene.serving(agent)
    other = B if standby.pool_id == C.id else C
    wished = scene.switch(agent, other)
    scene.run(60, until=lambda: scene.move(wished.switch_id).new_instance_id is not None)
    scene.ec2.controls.interrupt(old)
    scene.run(60, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) == standby.instance_id
    assert scene.move(wished.switch_id).status == "unwound"
    scene.run(900)
    assert scene.serving(agent) in scene.running()
    assert scene.breaches() == []


def test_a_notice_without_a_standby_makes_one_at_once(scene, agent):
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(10)
    event = scene.row(spot_interruption_events)
    assert event.action == "create_replica"
    scene.run(400, until=scene.serves_elsewhere(agent, old))
    scene.run(900)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_a_rebalance_recommendation_makes_an_emergency_replica_that_a_notice_promotes(scene, agent):
    old = scene.serving(agent)
    scene.ec2.controls.signal_rebalance(old)
    replica = ready(scene, agent)
    assert replica.replica_type == ReplicaType.REBALANCE
    scene.ec2.controls.interrupt(old)
    scene.run(60, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) == replica.instance_id
    assert scene.last_move(agent).event_trigger == "rebalance"
    assert scene.breaches() == []


def test_without_a_state_sync_a_notice_makes_no_standby_and_the_volume_brings_the_state(scene, agent):
    scene.db.write(lambda tx: tx.execute(instances.update().values(can_sync=False)))
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    assert scene.row(spot_interruption_events).action == "relaunch"
    assert scene.rows(replica_instances) == []
    assert scene.last_move(agent).kind in (MoveKind.VOLUME, MoveKind.SNAPSHOT)
    assert scene.breaches() == []


def test_without_a_notice_the_emergency_replica_is_retired_after_two_hours(scene, agent):
    scene.ec2.controls.signal_rebalance(scene.serving(agent))
    replica = ready(scene, agent)
    scene.run(2 * 3600 - 400)
    assert scene.live_replicas(agent)
    scene.run(900, until=lambda: not scene.live_replicas(agent))
    scene.run(300)
    row = scene.row(replica_instances, replica_instances.c.id == replica.id)
    assert row.status == ReplicaStatus.TERMINATED
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_while_nobody_serves_the_emergency_replica_stays(scene, agent):
    """A holder that sleeps with its memory proves nothing: a person decides, and may need what it copied."""
    old = scene.serving(agent)
    scene.ec2.controls.signal_rebalance(old)
    replica = ready(scene, agent)
    asleep = instances.update().where(instances.c.id == old).values(hibernates=True, ec2_state="stopped")
    scene.db.write(lambda tx: tx.execute(asleep))
    retire, beyond = Retire(scene.coordinator.ctx), scene.now + timedelta(hours=2, minutes=1)
    retire.run(beyond, Agenda({Work.REPLICA: [replica.id]}))
    assert [row.id for row in scene.live_replicas(agent)] == [replica.id]


def test_a_death_without_a_word_brings_the_volume_to_a_new_instance(scene, agent):
    old = scene.serving(agent)
    volume = scene.row(storage_resources, storage_resources.c.device == "/dev/sdf").id
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(400, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    assert (move.kind, move.is_recovery) == (MoveKind.VOLUME, True)
    assert move.lost_seconds == 0
    now_at = scene.row(storage_resources, storage_resources.c.id == volume).attached_to
    assert now_at == scene.serving(agent)
    scene.run(600)
    assert scene.move(move.id).status == "completed"
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_an_instance_that_never_enrols_is_not_waited_for_because_it_has_the_volume(scene, agent):
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(300, until=lambda: scene.rows(switches, switches.c.new_instance_id.is_not(None)))
    first = scene.last_move(agent)
    scene.mute.add(first.new_instance_id)
    scene.run(300, until=lambda: Step.VOLUMES_MOVED in scene.steps(first.id))
    scene.run(1800, until=scene.serves_elsewhere(agent, old))
    assert scene.move(first.id).status == "unwound"
    assert (scene.serving(agent) == first.new_instance_id, scene.last_move(agent).lost_seconds) == (False, 0)
    scene.run(900)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_where_the_zone_has_nothing_a_snapshot_carries_the_state_to_another(scene, agent):
    old = scene.serving(agent)
    for mode in ("spot", "ondemand"):
        scene.ec2.controls.make_dry(A, mode=mode)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    assert move.kind == MoveKind.SNAPSHOT
    assert scene.agent(agent).az != A.az
    scene.run(900)
    assert scene.move(move.id).status == "completed"
    assert scene.ec2.inventory().snapshots == ()
    assert scene.breaches() == []


def test_an_unheard_death_with_a_ready_standby_promotes_it_and_bounds_the_gap(scene, agent):
    scene.config(agent, manual_replica_enabled=True)
    standby, old = ready(scene, agent), scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(120, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) == standby.instance_id
    move = scene.last_move(agent)
    assert 0 < move.lost_seconds < 60
    scene.run(600)
    lost = [v for v in scene.ec2.inventory().volumes if v.attached_to is None]
    assert lost, "what the standby lacks stays on the dead one's volume for a day"


def test_volumes_that_ec2_refuses_to_keep_are_told_to_a_person_until_they_are_kept():
    """As where its owner has not tagged it as handed over: they would end with it."""
    scene = Scene()
    scene.ec2.faults.sometimes("keep_volumes", 1, lambda: NeedsPerson("UnauthorizedOperation", "not yours"))
    agent = scene.protect(pool=A)
    scene.run(300)
    told = scene.rows(agent_events, agent_events.c.kind == "needs_person")
    (going,) = [
        v for v in scene.ec2.describe_instances([scene.serving(agent)])[0].volumes if v.delete_on_termination
    ]
    assert [e.detail["volume_ids"] for e in told] == [[going.volume_id]]
    scene.ec2.faults.sometimes("keep_volumes", 0)
    scene.run(60)
    view = scene.ec2.describe_instances([scene.serving(agent)])[0]
    assert not any(volume.delete_on_termination for volume in view.volumes)


def test_the_standby_dying_too_does_not_end_the_workload(scene, agent):
    scene.config(agent, manual_replica_enabled=True)
    standby, old = ready(scene, agent), scene.serving(agent)
    scene.ec2.controls.interrupt(standby.instance_id, notice_seconds=0)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) != standby.instance_id
    assert scene.breaches() == []


def test_a_disabled_agent_is_recorded_and_left_alone(scene, agent):
    scene.config(agent, enabled=False)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(600)
    assert scene.row(spot_interruption_events).action == "none"
    assert scene.serving(agent) == old
    assert scene.rows(switches) == []
    kinds = [row.kind for row in scene.rows(agent_events)]
    assert kinds.count("instance_ended") == 1
    scene.config(agent, enabled=True)
    scene.run(400, until=scene.serves_elsewhere(agent, old))


def test_silence_proves_nothing(scene, agent):
    old = scene.serving(agent)
    scene.guests[old].silent = True
    scene.run(3600)
    assert scene.agent(agent).status == "offline"
    assert scene.serving(agent) == old
    assert scene.running() == {old}
    scene.guests[old].silent = False
    scene.run(60)
    assert scene.agent(agent).status == "online"


def test_the_target_dying_during_a_hand_over_does_not_strand_the_workload(scene, agent):
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(90, until=lambda: any(s.new_instance_id for s in scene.rows(switches)))
    scene.ec2.controls.fail_instance(scene.last_move(agent).new_instance_id)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    scene.run(600)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_a_new_holder_that_dies_before_it_is_verified_is_recovered_and_nothing_older_comes_back(scene, agent):
    first = scene.serving(agent)
    scene.config(agent, terminate_wait_seconds=1800)
    opened = scene.switch(agent, B)
    scene.run(300, until=lambda: scene.move(opened.switch_id).status == "committed")
    second = scene.serving(agent)
    scene.ec2.controls.interrupt(second, notice_seconds=0)
    scene.run(600, until=lambda: scene.serving(agent) not in (first, second) and scene.is_open(agent))
    scene.run(3600)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_a_market_whose_instances_end_before_they_run_is_given_up_for_on_demand():
    """As with a key that the spot service has no grant for (E28): the launch succeeds, and nothing comes of it."""
    scene = Scene()
    agent = scene.protect(pool=A, state_gib=None, terminate_wait_seconds=0)
    scene.run(60)
    old = scene.serving(agent)

    def comes_back():
        for machine in scene.ec2.inventory().instances:
            if (machine.state, machine.mode) == ("pending", "spot"):
                scene.ec2.controls.fail_instance(machine.instance_id)
        return scene.serving(agent) != old and scene.is_open(agent)

    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(900, until=comes_back)
    assert scene.row(instances, instances.c.id == scene.serving(agent)).current_mode == "ondemand"


def test_a_wave_over_every_pool_ends_on_demand(scene, agent):
    old = scene.serving(agent)
    for pool in (A, B, C):
        scene.ec2.controls.make_dry(pool)
    scene.ec2.controls.interrupt(old)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    assert scene.agent(agent).current_mode == "ondemand"


def test_the_kill_switch_all_stops_emergencies_too(scene, agent):
    from spotguard.domain.agents import KillLevel
    from spotguard.store import kill

    scene.db.write(lambda tx: kill.set_level(tx, scene.now, scene.client_id, "client", KillLevel.ALL, "test"))
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(400)
    assert scene.serving(agent) == old
    assert scene.running() == set()


def test_every_epoch_has_a_proof_and_no_two_serve(scene, agent):
    scene.config(agent, autonomy="observe")
    for _ in range(3):
        old = scene.serving(agent)
        scene.ec2.controls.fail_instance(old)
        scene.run(900, until=scene.serves_elsewhere(agent, old))
        scene.run(120)
        open_gates = [g for g in scene.guests.values() if g.gate == "open"]
        assert len(open_gates) == 1
    epochs = sorted(row.epoch for row in scene.rows(epoch_grants))
    assert epochs == [1, 2, 3, 4]
    assert scene.breaches() == []


def test_with_the_server_as_executor_all_the_same():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    scene.run(900)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_what_was_vanished_for_long_counts_as_terminated(scene, agent):
    """The coordinator was away while it ended and EC2 forgot it."""
    scene.config(agent, autonomy="observe")
    old = scene.serving(agent)
    scene.clock.time += timedelta(hours=2)
    scene.run(30)
    scene.ec2.controls.fail_instance(old)
    scene.clock.time += timedelta(hours=2)
    scene.live()
    scene.run(1200, until=scene.serves_elsewhere(agent, old))
    assert scene.breaches() == []
