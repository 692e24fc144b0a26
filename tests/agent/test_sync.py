"""Passes under way end with their target, and with the epoch of who sends them."""

import msgspec

from spotguard.agent.desk import said_of
from spotguard.domain.errors import StateMissing, SyncFailed
from spotguard.domain.switches import MoveKind
from spotguard.simulation.machine import SimulatedSync
from tests.agent.stage import STATE, Stage
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


MISSING = "no pass is sent: nothing is mounted at /srv, where the state /srv/web lies: mount it"


class Unmounting(Stage):
    """The state's disk is not there while `unmounted`."""

    unmounted = False

    def sync_of(self, instance_id):
        return WhereMounted(self, self.ec2, self.clock, self.register, self.fabric, instance_id)


class WhereMounted(SimulatedSync):
    def __init__(self, stage, *more):
        super().__init__(*more)
        self._stage = stage

    def push(self, target):
        if self._stage.unmounted:
            raise StateMissing(MISSING)
        return super().push(target)


def test_that_the_state_is_not_where_it_was_is_said_for_as_long_as_it_is_so():
    stage, primary, _ = with_standby(Unmounting())

    def said():
        mine = [
            body
            for _, what, who, body in stage.server.heard
            if (what, who) == ("heartbeat", primary.instance_id)
        ]
        return mine[-1]["workload_stuck"]

    assert said() is None
    stage.unmounted = True
    stage.run(180)
    assert said() == MISSING
    stage.unmounted = False
    stage.run(420)
    assert said() is None


class Renamed(Unmounting):
    def sync_of(self, instance_id):
        return AlwaysRenamed(self, self.ec2, self.clock, self.register, self.fabric, instance_id)


class AlwaysRenamed(WhereMounted):
    def push(self, target):
        if self._stage.unmounted:
            raise SyncFailed("3 files were renamed whenever they were about to be read")
        return super().push(target)


def test_why_no_pass_goes_through_is_said_once_it_has_lasted():
    stage, primary, standby = with_standby(Renamed())

    def said():
        beats = [
            b for _, what, who, b in stage.server.heard if (what, who) == ("heartbeat", primary.instance_id)
        ]
        return [beat["workload_stuck"] for beat in beats]

    stage.unmounted = True
    stage.run(60)
    assert set(said()) == {None}
    stage.run(240)
    because = "3 files were renamed whenever they were about to be read"
    assert said()[-1] == f"no pass of its state goes through to {standby.instance_id}: {because}"
    stage.unmounted = False
    stage.run(420)
    assert said()[-1] is None


def test_a_file_whose_name_is_no_text_silences_nobody():
    said = said_of(StateMissing("nothing is mounted at /srv/\udcff" + "!" * 5000))
    assert msgspec.json.encode(said).startswith(b'"nothing is mounted at /srv/?!')
    assert len(said) == 1000


def test_why_a_workload_does_not_open_is_said():
    stage, primary, _ = with_standby()
    disk = next(
        v for v in stage.ec2.describe_instances([primary.instance_id])[0].volumes if v.device == STATE
    )
    stage.register.closed(primary.instance_id, stage.clock.now())
    stage.ec2.detach_volume(disk.volume_id)
    stage.run(180)
    beats = [
        body for _, what, who, body in stage.server.heard if (what, who) == ("heartbeat", primary.instance_id)
    ]
    assert "has no state volume" in beats[-1]["workload_stuck"]
