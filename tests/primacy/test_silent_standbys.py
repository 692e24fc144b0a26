"""A standby that the server does not hear may still be handed the epoch by its ticket: nobody else is, meanwhile."""

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.simulation.audit import orphans_of
from spotguard.store.tables import handover_tickets
from tests.primacy.test_by_ticket import protected, serving, ticket
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = protected(troubled=True)
    stage.wait(minutes=3)
    yield stage
    stage.close()


def cut(scene: Scene, instance_id: str, *, lost: float = 1.0) -> None:
    """From the server; the other instances still reach it."""
    scene.world.trouble_of(instance_id).line.request_lost = lost


def statuses_of_tickets_to(scene: Scene, instance_id: str) -> list[str]:
    mine = sa.select(handover_tickets.c.status).where(handover_tickets.c.to_instance_id == instance_id)
    return scene.world.db.read(lambda tx: list(tx.scalars(mine)))


def test_one_that_is_ready_no_more_is_still_handed_over_to_while_the_server_is_away(scene):
    standby = scene.ready_replica()
    cut(scene, standby.instance_id)
    scene.until(lambda: scene.replica(standby.id).status == "syncing", minutes=3)
    assert (ticket(scene).status, ticket(scene).to_instance_id) == ("out", standby.instance_id)

    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby.instance_id], seconds=30)
    scene.wait(minutes=10)
    cut(scene, standby.instance_id, lost=0.0)
    scene.world.bring_server_back()
    scene.until(lambda: scene.agent().instance_id == standby.instance_id, minutes=5)
    scene.wait(minutes=30)
    scene.assert_no_record_lost_or_doubled()


def test_one_that_is_replaced_loses_its_ticket_first_and_the_next_gets_one(scene):
    first = scene.ready_replica()
    cut(scene, first.instance_id)
    scene.until(lambda: scene.live_replica().id != first.id, minutes=7)
    scene.until(lambda: first.instance_id not in scene.active_instances(), minutes=5)
    assert statuses_of_tickets_to(scene, first.instance_id) == ["destroyed"]

    second = scene.until(scene.ready_replica, minutes=20)
    scene.until(lambda: ticket(scene).to_instance_id == second.instance_id, minutes=2)
    scene.until(lambda: ticket(scene).acknowledged_at, minutes=2)
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [second.instance_id], seconds=30)
    scene.world.bring_server_back()
    scene.wait(minutes=30)
    scene.assert_no_record_lost_or_doubled()
    assert orphans_of(scene.world) == []


def test_one_that_was_handed_the_epoch_before_its_ticket_was_asked_back_is_not_ended(scene):
    """Nobody hears it: replaced; in the same minute its primary is cut off, noticed, and hands over to it."""
    first, old = scene.ready_replica(), scene.agent().instance_id
    cut(scene, first.instance_id)
    scene.until(lambda: scene.replica(first.id).status == "syncing", minutes=3)
    scene.wait(minutes=2, seconds=30)
    cut(scene, old)
    scene.until(lambda: scene.live_replica() and scene.live_replica().id != first.id, minutes=1)
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [first.instance_id], seconds=30)
    scene.wait(minutes=10)
    assert serving(scene) == [first.instance_id], "neither ended nor joined by anybody"
    assert ticket(scene).status == "out"
    assert scene.agent().instance_id == old

    cut(scene, first.instance_id, lost=0.0)
    scene.until(lambda: scene.agent().instance_id == first.instance_id, minutes=5)
    scene.wait(minutes=30)
    scene.assert_no_record_lost_or_doubled()
    assert serving(scene) == [first.instance_id]


def test_one_that_serves_unheard_after_its_role_has_ended_answers_its_own_notice(scene):
    """The server hears of the notice before it hears that this one serves: its word to do nothing is no order."""
    old, replica = scene.agent().instance_id, scene.ready_replica()
    standby = replica.instance_id
    cut(scene, standby)
    scene.world.trouble_of(old).line.answer_lost = 1.0
    scene.delete(f"/api/client/agents/{scene.agent().id}/replicas/{replica.id}")
    assert not scene.replica(replica.id).is_active
    assert ticket(scene).status == "out", "its holder has not heard that it is asked back"
    scene.world.take_server_away()
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=30)
    scene.wait(minutes=5)
    scene.world.ec2.controls.interrupt(InstanceId(standby))
    scene.wait(seconds=3)
    cut(scene, standby, lost=0.0)
    scene.world.bring_server_back()
    scene.wait(minutes=30)
    scene.assert_no_record_lost_or_doubled()
