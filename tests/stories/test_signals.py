"""The specification's flow «Emergency Replica on Rebalance», both outcomes; and the notice without a warning."""

from datetime import timedelta

from spotguard.domain.switches import Step
from spotguard.planning.switching import STATE_DEVICE


def on_spot(scene):
    scene.force_to_spot()
    scene.wait(minutes=40)  # the former instance is gone


def test_rebalance_makes_an_emergency_replica_that_is_retired_when_nothing_follows(scene):
    on_spot(scene)
    primary = scene.agent().instance_id

    # AWS sends a rebalance recommendation; the agent detects and reports it
    scene.aws_recommends_rebalance()
    signal = scene.until(lambda: scene.signals() and scene.signals()[-1], seconds=5)
    assert signal.signal_type == "rebalance-recommendation"
    assert signal.instance_id == primary

    # auto_switch_enabled: an emergency replica within 10 seconds, and the event names it
    replica = scene.until(scene.live_replica, seconds=10)
    assert replica.replica_type == "automatic-rebalance"
    assert scene.signals()[-1].replica_id == replica.id
    scene.until(scene.ready_replica, minutes=10)

    # Outcome A: two hours without a termination
    scene.wait(minutes=100)
    assert scene.replica(replica.id).is_active
    scene.until(lambda: scene.replica(replica.id).status == "terminated", minutes=30)
    assert not scene.replica(replica.id).is_active
    assert scene.agent().instance_id == primary
    scene.assert_no_record_lost_or_doubled()


def test_rebalance_then_a_termination_notice_promotes_the_emergency_replica(scene):
    on_spot(scene)
    scene.aws_recommends_rebalance()
    replica = scene.until(scene.ready_replica, minutes=10)
    before = scene.agent()

    # Outcome B: the termination notice comes
    scene.aws_gives_notice()
    scene.until(lambda: scene.agent().instance_id == replica.instance_id, seconds=60)
    assert scene.replica(replica.id).status == "promoted"
    assert scene.agent().epoch == before.epoch + 1

    notice = scene.until(
        lambda: scene.signals()[-1] if scene.signals()[-1].failover_completed else None, minutes=2
    )
    assert notice.signal_type == "instance-termination"
    assert notice.failover_completed_at - notice.signal_time < timedelta(minutes=2)
    assert scene.switches()[-1].event_trigger == "rebalance"
    begun = scene.events("switch_opened")[-1].message
    assert "(notice after a rebalance recommendation): termination notice" in begun, (
        "what set it off is named"
    )
    # the model resumes control
    assert scene.agent().auto_switch_enabled
    scene.wait(minutes=10)
    scene.assert_no_record_lost_or_doubled()


def test_a_notice_out_of_the_blue_loses_no_record(scene):
    on_spot(scene)
    old = scene.agent().instance_id
    scene.aws_gives_notice()
    scene.until(lambda: scene.agent().instance_id != old, minutes=15)
    assert scene.switches()[-1].event_trigger == "emergency"
    promoted = scene.replicas()[-1]
    assert (promoted.status, promoted.state_transfer_progress) == ("promoted", 100), (
        "its move brought the rest"
    )
    scene.wait(minutes=10)
    scene.assert_no_record_lost_or_doubled()


def test_a_manual_replica_takes_over_on_a_notice_and_is_replaced(scene):
    scene.configure(manualReplicaEnabled=True)
    first = scene.until(scene.ready_replica, minutes=10)
    scene.post(f"/api/agents/{scene.agent().id}/replicas/{first.id}/promote", {})
    scene.until(lambda: scene.agent().instance_id == first.instance_id, seconds=30)
    standby = scene.until(scene.ready_replica, minutes=10)

    scene.aws_gives_notice()
    scene.until(lambda: scene.agent().instance_id == standby.instance_id, seconds=60)
    fresh = scene.until(scene.live_replica, seconds=15)
    assert fresh.id != standby.id
    scene.assert_no_record_lost_or_doubled()


def test_a_death_without_a_word_is_recovered_from_the_volume_once_ec2_confirms_it(scene):
    on_spot(scene)
    old = scene.agent().instance_id
    scene.world.ec2.controls.fail_instance(old)
    scene.until(lambda: scene.agent().instance_id != old, minutes=10)
    scene.wait(minutes=10)
    register = scene.world.registers["web-1"]
    assert register.overlaps == []
    assert len(register.serving()) == 1
    assert register.losses == []  # the volume survives its instance: nothing that was acknowledged is gone


def test_silence_alone_promotes_nobody(scene):
    on_spot(scene)
    before = scene.agent()
    scene.world.link.away = True  # the server hears nothing of anybody
    scene.wait(minutes=30)
    scene.world.link.away = False
    assert scene.agent().status == "offline"
    assert (scene.agent().instance_id, scene.agent().epoch) == (before.instance_id, before.epoch)
    scene.wait(minutes=5)
    assert scene.agent().status == "online"
    scene.assert_no_record_lost_or_doubled()


def test_a_recovery_whose_new_machine_dies_with_the_volume_finds_the_volume_again(scene):
    on_spot(scene)
    dead = scene.agent().instance_id
    scene.world.ec2.controls.fail_instance(dead)
    recovery = scene.until(
        lambda: next((s for s in scene.switches() if s.is_recovery and s.new_instance_id), None), minutes=10
    )
    scene.until(lambda: state_volumes(scene, recovery.new_instance_id), minutes=5)

    scene.world.ec2.controls.fail_instance(recovery.new_instance_id)
    scene.until(lambda: scene.agent().instance_id not in (dead, recovery.new_instance_id), minutes=15)
    scene.wait(minutes=1)
    assert [s.kind for s in scene.switches() if s.is_recovery][-1] == "volume"
    scene.assert_no_record_lost_or_doubled()


def test_a_holder_that_dies_unheard_with_its_volume_already_carried_over_loses_nothing(scene):
    on_spot(scene)
    dead = scene.agent().instance_id
    volume_move = {"target": "ondemand", "kind": "volume"}
    scene.post(f"/api/client/instances/{dead}/force-switch", volume_move, expect=202)
    new = scene.until(lambda: scene.switches()[-1].new_instance_id, minutes=5)
    scene.until(lambda: scene.has_recorded(Step.GATE_CLOSED), minutes=5)

    scene.world.link.away = True  # what the old one does from now on, nobody is told
    scene.world.ec2.controls.fail_instance(dead)
    scene.until(lambda: state_volumes(scene, new), minutes=5)
    scene.wait(minutes=10)
    scene.world.link.away = False

    scene.until(lambda: scene.agent().instance_id != dead, minutes=15)
    scene.wait(minutes=1)
    assert [s.kind for s in scene.switches() if s.is_recovery][-1] == "volume"
    scene.assert_no_record_lost_or_doubled()


def state_volumes(scene, instance_id):
    """Those that EC2 shows at the state device of this machine."""
    return [
        v
        for v in scene.world.ec2.inventory().volumes
        if (v.attached_to, v.device) == (instance_id, STATE_DEVICE)
    ]
