"""Quiesce and thaw: around the image of a move, and thawed whatever happens in between."""

from datetime import timedelta

import pytest

from spotguard.agent.quiet import HOLD_SECONDS, Quiet
from spotguard.domain.errors import (
    Doubtful,
    NeedsPerson,
    PoolDry,
    QuiesceFailed,
    QuotaReached,
    TokenMismatch,
)
from spotguard.domain.switches import MoveKind, Step
from spotguard.simulation.machine import Files, SimulatedDisk
from tests.agent.stage import Crash, Host, Stage
from tests.cloud.scene import B, StoryClock


class Hooks:
    """The user's hooks: what they did, and how often each is still to fail."""

    def __init__(self):
        self.did, self.frozen = [], False
        self.freeze_fails = self.thaw_fails = 0
        self.crash_when_frozen = False

    def freeze(self):
        self.did.append("freeze")
        if self.freeze_fails:
            self.freeze_fails -= 1
            raise QuiesceFailed("the database refuses")
        self.frozen = True
        if self.crash_when_frozen:
            self.crash_when_frozen = False
            raise Crash

    def thaw(self):
        self.did.append("thaw")
        if self.thaw_fails:
            self.thaw_fails -= 1
            raise QuiesceFailed("busy")
        self.frozen = False


@pytest.fixture
def hooks():
    return Hooks()


def quiet_on(disk, hooks, clock):
    return Quiet(disk, hooks, clock)


class Watching:
    """A cloud that notes whether the workload is frozen when its image is begun."""

    def __init__(self, cloud, hooks):
        self._cloud, self._hooks, self.seen = cloud, hooks, []

    def __getattr__(self, name):
        return getattr(self._cloud, name)

    def create_image(self, *arguments):
        self.seen.append(self._hooks.frozen)
        return self._cloud.create_image(*arguments)


def image_move(hooks, *, by_server=False):
    """A stage on which an image move of a host with hooks has been ordered."""
    stage = Stage()
    old = stage.primary()
    old.quiesce = hooks
    old.cloud = None if by_server else Watching(old.cloud, hooks)
    old.restart()
    stage.run(30)
    launch = None if by_server else stage.order_launch(B, ())
    return stage, stage.server.open_move(MoveKind.IMAGE, launch=launch), old


def opened(stage, switch):
    return lambda: Step.OPENED in stage.server.moves[switch].recorded


def test_an_image_is_begun_frozen_and_the_workload_thawed_at_once(hooks):
    stage, switch, old = image_move(hooks)
    stage.run(1800, opened(stage, switch))
    assert opened(stage, switch)()
    assert hooks.did == ["freeze", "thaw"]
    assert old.cloud.seen == [True]
    stage.nothing_lost()


def test_no_clear_answer_thaws_and_the_next_attempt_freezes_again(hooks):
    stage, switch, _ = image_move(hooks)
    stage.ec2.faults.next("create_image", Doubtful("InternalError"))
    stage.run(1800, opened(stage, switch))
    assert opened(stage, switch)()
    assert hooks.did == ["freeze", "thaw"] * 2
    stage.nothing_lost()


def test_a_crash_while_frozen_is_thawed_by_the_next_start(hooks):
    stage, switch, old = image_move(hooks)
    hooks.crash_when_frozen = True
    stage.run(1800, opened(stage, switch))
    assert old.crashes == 1
    assert hooks.did == ["freeze", "thaw", "freeze", "thaw"]
    assert opened(stage, switch)()
    stage.nothing_lost()


def test_a_hook_that_fails_gives_the_move_up_and_the_old_one_serves_on(hooks):
    hooks.freeze_fails = 1
    stage, switch, old = image_move(hooks)
    stage.run(600, lambda: stage.server.orders[stage.server.moves[switch].command_id].result is not None)
    assert hooks.did == ["freeze", "thaw"]
    assert stage.register.serving() == [old.instance_id]
    assert (
        "the database refuses" in stage.server.orders[stage.server.moves[switch].command_id].result["message"]
    )


@pytest.mark.parametrize("error", [NeedsPerson, PoolDry, QuotaReached, TokenMismatch])
def test_whatever_ec2_refuses_gives_the_move_up_and_the_old_one_serves_on(hooks, error):
    stage, switch, old = image_move(hooks)
    stage.ec2.faults.next("create_image", error("NotToday"))
    order = stage.server.orders[stage.server.moves[switch].command_id]
    stage.run(600, lambda: order.result is not None)
    assert "NotToday" in order.result["message"]
    assert stage.register.serving() == [old.instance_id]


def test_where_the_server_makes_the_image_it_is_frozen_before_it_hears_and_for_a_minute(hooks):
    stage, switch, _ = image_move(hooks, by_server=True)
    stage.run(600, lambda: Step.GATE_CLOSED in stage.server.moves[switch].recorded)
    assert hooks.did == ["freeze"]
    stage.run(HOLD_SECONDS - 5)
    assert hooks.frozen
    stage.run(10)
    assert hooks.did == ["freeze", "thaw"]


def test_other_moves_freeze_nothing(hooks):
    stage = Stage()
    old = stage.primary()
    old.quiesce = hooks
    old.restart()
    stage.run(30)
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(1800, opened(stage, switch))
    assert hooks.did == []


def test_what_is_held_for_the_server_is_thawed_in_time_and_a_thaw_that_fails_is_tried_again(hooks):
    clock, disk = StoryClock(), SimulatedDisk(Files())
    quiet = quiet_on(disk, hooks, clock)
    quiet.freeze()
    quiet.freeze()  # again: held anew, not frozen twice
    assert hooks.did == ["freeze"]
    due = quiet.run(clock.now())
    assert due == clock.now() + timedelta(seconds=HOLD_SECONDS)
    hooks.thaw_fails = 2
    while due is not None:
        clock.time = max(due, clock.time)
        due = quiet.run(clock.now())
    assert hooks.did == ["freeze", "thaw", "thaw", "thaw"]
    assert not hooks.frozen
    assert disk.read(Quiet.NAME) is None


def test_a_clone_of_a_frozen_disk_forgets_it(hooks):
    stage, switch, _ = image_move(hooks)
    stage.run(1800, opened(stage, switch))
    new = stage.hosts[stage.server.moves[switch].new]
    assert isinstance(new, Host)
    assert new.disk.read(Quiet.NAME) is None


def test_without_hooks_nothing_is_frozen_and_nothing_written():
    clock, disk = StoryClock(), SimulatedDisk(Files())
    quiet = quiet_on(disk, None, clock)
    quiet.freeze()
    quiet.thaw()
    assert quiet.run(clock.now()) is None
    assert disk.read(Quiet.NAME) is None
