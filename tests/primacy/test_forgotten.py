"""A holder whose memory is damaged cannot say whether it has handed over: it serves only where nobody else can."""

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import GateState
from spotguard.planning.cleaning import FOUND
from spotguard.store.tables import handover_tickets
from tests.primacy.test_both_ends_dead import told, whose_state_is_left
from tests.primacy.test_by_ticket import protected, serving, ticket
from tests.primacy.test_silent_standbys import cut


@pytest.fixture
def scene():
    stage = protected(troubled=True)
    yield stage
    stage.close()


def damage(scene, instance_id):
    """One bit of what its agent remembers of its primacy has changed, and its process starts anew."""
    process = scene.world.processes[InstanceId(instance_id)]
    written = process.disk.read("primacy")
    process.disk.replace("primacy", bytes([written[0] ^ 1]) + written[1:])
    process.die()


def status_of(scene, ticket_id):
    wanted = sa.select(handover_tickets.c.status).where(handover_tickets.c.id == ticket_id)
    return scene.world.db.read(lambda tx: tx.scalar(wanted))


def test_one_that_had_handed_over_opens_no_more_although_the_server_knows_of_nothing(scene):
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    line = scene.world.trouble_of(standby).line
    line.request_lost = 1.0
    damage(scene, old)
    scene.world.bring_server_back()
    scene.wait(seconds=75)
    assert scene.world.registers["web-1"].overlaps == []
    assert scene.agent().instance_id == old, "it is heard first"
    assert serving(scene) == [standby]
    assert ticket(scene).status == "out", "it does not say that it destroyed what it may have given"
    line.request_lost = 0.0
    scene.until(lambda: scene.agent().instance_id == standby, minutes=5)
    assert ticket(scene).status == "used"
    scene.wait(minutes=20)
    scene.assert_no_record_lost_or_doubled()


def test_one_that_had_not_handed_over_lets_go_and_its_standby_says_that_it_got_nothing(scene):
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    primacy = scene.world.processes[InstanceId(old)].agent.desk.primacy
    primacy.pause()  # in the midst of a move
    issued = ticket(scene).id
    damage(scene, old)
    scene.until(lambda: scene.agent().epoch > primacy.held, minutes=5)
    scene.until(lambda: serving(scene), minutes=5)
    assert scene.world.registers["web-1"].overlaps == []
    assert status_of(scene, issued) == "destroyed"
    assert serving(scene)[0] in (old, standby)
    scene.wait(minutes=10)
    scene.assert_no_record_lost_or_doubled()


def test_a_standby_whose_memory_is_damaged_before_it_gets_its_ticket_still_takes_over(scene):
    """The seal is of its newest token: it has enrolled anew."""
    standby = scene.ready_replica().instance_id
    damage(scene, standby)
    scene.wait(minutes=3)
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=30)
    assert scene.world.processes[InstanceId(standby)].agent.desk.primacy.gate_state() is GateState.OPEN
    scene.assert_no_record_lost_or_doubled()


def test_a_standby_that_forgot_and_was_given_nothing_destroys_its_ticket(scene):
    """Else a dead holder's volume, which has every write, could be given to nobody as long as the standby lives."""
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    issued = ticket(scene).id
    trouble = scene.world.trouble_of(standby).line
    trouble.request_lost = 1.0
    scene.wait(minutes=1)
    scene.configure(enabled=False)  # it is asked back
    scene.world.trouble_of(old).line.request_lost = 1.0  # its holder does not hear of it
    damage(scene, standby)
    trouble.request_lost = 0.0
    scene.wait(minutes=5)
    assert status_of(scene, issued) == "destroyed"


def test_a_standby_that_forgot_that_it_had_taken_over_is_the_one_that_goes_on(scene):
    """It reboots with a torn memory; its holder has ended without a word to the server."""
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    scene.wait(minutes=5)
    damage(scene, standby)
    scene.world.ec2.controls.reboot(InstanceId(standby))
    scene.wait(minutes=2)
    assert serving(scene) == []
    scene.world.bring_server_back()
    scene.until(lambda: serving(scene) == [standby], minutes=10)
    scene.wait(minutes=10)
    assert scene.agent().instance_id not in (old, None)
    scene.assert_no_record_lost_or_doubled()


def test_one_that_forgot_and_whose_standby_has_ended_with_the_ticket_is_not_out_of_service_untold(scene):
    """Nobody can say any more whether the ticket was given."""
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    primacy = scene.world.processes[InstanceId(old)].agent.desk.primacy
    scene.world.take_server_away()
    primacy.pause()
    scene.world.ec2.controls.end_by_stranger(InstanceId(standby))
    damage(scene, old)
    scene.wait(minutes=2)
    scene.world.bring_server_back()
    scene.wait(minutes=30)
    assert serving(scene)
    scene.assert_no_record_lost_or_doubled()


def handed_over_and_forgot(scene, end):
    """While the server was away: the notice was withdrawn, the standby has come to this end, and the holder lives."""
    world, old, standby = scene.world, scene.agent().instance_id, scene.ready_replica().instance_id
    world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    world.ec2.controls.withdraw_notice(InstanceId(old))
    scene.wait(minutes=10)
    end(InstanceId(standby))
    damage(scene, old)
    scene.wait(minutes=2)
    world.bring_server_back()


def test_what_a_dead_standby_wrote_by_a_ticket_that_its_holder_forgot_is_kept_for_a_person(scene):
    """Nobody else than the holder can say that it had handed over."""
    world, old, standby = scene.world, scene.agent().instance_id, scene.ready_replica().instance_id
    handed_over_and_forgot(scene, world.ec2.controls.end_by_stranger)
    scene.wait(minutes=60)
    assert serving(scene) == [old]
    assert standby in whose_state_is_left(scene)
    assert any(f"{standby} had it, to which a handover ticket was out" in what for what in told(scene, FOUND))


def test_and_a_person_hears_of_it_when_that_standby_is_started_again():
    """It runs on demand, and was stopped: dead by its proof, and not for ever."""
    scene = protected(troubled=True, is_dry=True)
    world, old, standby = scene.world, scene.agent().instance_id, scene.ready_replica().instance_id
    handed_over_and_forgot(scene, world.ec2.controls.stop)
    scene.until(lambda: serving(scene) == [old], minutes=60)
    world.ec2.controls.start(InstanceId(standby))
    scene.wait(minutes=10)
    assert serving(scene) == [old]
    (what,) = set(told(scene, "handed_over_unheard"))
    assert f"to {standby} by its ticket, and {old} was granted it before" in what
    kept = scene.get("/api/client/leftovers")
    assert any(standby in str(one) and "served by a handover ticket" in str(one) for one in kept["items"])
    assert not scene.instance(standby).terminated_at
    scene.close()


def test_people_are_told_of_one_that_forgot_and_whose_standby_with_the_ticket_is_not_heard(scene):
    """Neither can say what came of it: nobody is granted the next epoch, and no rule goes on from there."""
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    cut(scene, standby)
    scene.wait(seconds=20)
    scene.world.processes[InstanceId(old)].agent.desk.primacy.pause()
    damage(scene, old)
    scene.wait(hours=1)
    assert serving(scene) == []
    (what,) = told(scene, "nobody_serves")
    assert f"{old} could hand over to {standby} by itself" in what
    assert "mend its network; or terminate it" in what

    scene.world.ec2.controls.end_by_stranger(InstanceId(standby))
    scene.until(lambda: serving(scene) == [old], minutes=10)
    scene.assert_no_record_lost_or_doubled()


def test_one_that_forgot_while_no_ticket_was_out_is_given_none_before_it_has_let_go(scene):
    """One that came with the first answer would be in doubt at once, for ever if its standby were not heard."""
    old, epoch = scene.agent().instance_id, scene.agent().epoch
    scene.configure(enabled=False)
    scene.until(lambda: ticket(scene).status == "destroyed", minutes=3)
    trouble = scene.world.trouble_of(old).line
    trouble.request_lost = 1.0
    scene.configure(enabled=True)
    scene.world.processes[InstanceId(old)].agent.desk.primacy.pause()
    damage(scene, old)
    scene.wait(seconds=20)
    assert scene.world.processes[InstanceId(old)].agent.desk.primacy.forgot
    trouble.request_lost = 0.0
    scene.wait(minutes=5)
    assert scene.agent().epoch == epoch + 1
    assert len(serving(scene)) == 1
    issued = scene.world.db.read(lambda tx: list(tx.scalars(sa.select(handover_tickets.c.epoch))))
    assert issued.count(epoch + 1) == 1
    scene.assert_no_record_lost_or_doubled()
