"""What served by a ticket tells of it on a line that holds the request back; it arrives after its machine's end."""

from spotguard.domain.ids import InstanceId
from spotguard.store import agents as agent_rows
from spotguard.store import handovers, ledger
from spotguard.store.secrets import hash_token
from tests.primacy.test_by_ticket import entries, kind_at, protected, serving
from tests.primacy.test_silent_standbys import cut


def test_the_ledger_is_what_the_events_say_also_of_a_run_that_was_settled_for_good():
    scene = protected(troubled=True)
    world, standby = scene.world, scene.ready_replica().instance_id
    world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=15)
    scene.wait(minutes=10)
    served_at = world.clock.now()
    scene.wait(minutes=10)
    cut(scene, standby)  # its line to the server holds requests back from here on
    world.bring_server_back()
    scene.wait(seconds=30)
    word = arrives_later(scene, standby)
    world.ec2.terminate_instance(InstanceId(standby))
    scene.until(lambda: scene.instance(standby).ec2_state == "terminated", minutes=3)
    scene.wait(seconds=1)
    world.settle()
    assert kind_at(scene, standby, served_at) == "replica"

    world.db.write(word)
    scene.wait(minutes=5)
    world.settle()
    assert kind_at(scene, standby, served_at) == "compute"
    made = world.db.read(lambda tx: ledger.recompute(tx, world.clock.now()))
    assert spans(entries(scene)) == spans(made)
    scene.close()


def arrives_later(scene, standby):
    """What its next heartbeat says of the ticket, as the server will hear it."""
    desk = scene.world.processes[InstanceId(standby)].agent.desk
    handed, token = desk.primacy.handed, hash_token(desk.enrolled().agent_token)
    said = handovers.HandedOver(handed.ticket.id, handed.word, handed.signature, handed.opened_at)

    def arrives(tx):
        now = scene.world.clock.now()
        return handovers.told(tx, now, agent_rows.caller_of_token(tx, now, token), said)

    return arrives


def spans(rows):
    return {(row.resource_id, str(row.kind), row.from_at, row.to_at, row.usd) for row in rows}
