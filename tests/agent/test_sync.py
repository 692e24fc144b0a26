"""Passes under way end with their target, and with the epoch of who sends them."""

from spotguard.domain.switches import MoveKind
from tests.agent.test_notices import with_standby

FOREVER = 1e7  # seconds


def under_way():
    """A primary, its standby, and a pass between them that does not end."""
    stage, primary, standby = with_standby()
    stage.fabric.seconds_per_pass = FOREVER
    stage.run(60, until=lambda: standby.instance_id in stage.fabric.passes)
    assert stage.fabric.passes[standby.instance_id].source == primary.instance_id
    return stage, primary, standby


def retire(stage):
    stage.server.standbys = []
    stage.server.config_version += 1


def test_a_pass_to_a_standby_that_is_retired_is_ended():
    stage, _, standby = under_way()
    stage.run(60)
    assert standby.instance_id in stage.fabric.passes, "it goes on while the standby stands by"
    retire(stage)
    stage.run(90)
    assert stage.fabric.passes == {}


def test_a_pass_of_an_open_move_is_not_ended_though_its_target_is_no_standby():
    stage, primary, standby = under_way()
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    stage.server.open_move(MoveKind.SYNCED, target=target)
    stage.run(30)
    begun = stage.fabric.passes[standby.instance_id]
    retire(stage)
    stage.run(90)
    assert stage.fabric.passes[standby.instance_id] is begun
    assert stage.register.serving() == [primary.instance_id]


def test_who_holds_no_epoch_any_more_sends_nothing():
    stage, primary, standby = under_way()
    stage.server.holder, stage.server.epoch = standby.instance_id, 2
    stage.server.passive_epoch = 2
    stage.run(180)
    assert primary.primacy.held is None
    assert all(one.source != primary.instance_id for one in stage.fabric.passes.values())
