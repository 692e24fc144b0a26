"""The three kinds of move, whole and interrupted around every effect of either agent."""

from dataclasses import replace

import pytest

from spotguard.domain.ids import ClientToken
from spotguard.domain.salvages import PURPOSE, SALVAGE_DEVICE
from spotguard.domain.switches import PLANNED_STEPS, MoveKind, Step
from spotguard.domain.tags import PURPOSE_TAG
from spotguard.execution.volumes import empty_alike
from spotguard.ports.cloud import BlockDevice
from spotguard.ports.server import Reply
from tests.agent.stage import STATE, Stage
from tests.cloud.scene import A, B

UNTIL_OPENED = {
    kind: [
        s
        for s in PLANNED_STEPS[kind]
        if s not in (Step.TRAFFIC_MOVED, Step.VERIFIED, Step.OLD_ENDED, Step.PRUNED)
    ]
    for kind in PLANNED_STEPS
}
DEVICES = {
    MoveKind.SYNCED: (BlockDevice(STATE, 20),),
    MoveKind.VOLUME: (BlockDevice(STATE, no_device=True),),
    MoveKind.IMAGE: (),
}
each_kind = pytest.mark.parametrize("kind", list(PLANNED_STEPS))


def moving(kind, stage=None, old=None):
    """A stage on which a move of this kind has just been ordered; the switch and the old host."""
    stage = stage or Stage()
    old = old or stage.primary()
    stage.run(60)
    pool = A if kind is MoveKind.VOLUME else B
    switch = stage.server.open_move(kind, launch=stage.order_launch(pool, DEVICES[kind]))
    return stage, switch, old


def finished(stage, switch):
    move = stage.server.moves[switch]
    return lambda: Step.OPENED in move.recorded and all(o.result for o in stage.server.orders.values())


@each_kind
def test_a_move_ends_with_the_new_instance_serving_and_nothing_lost(kind):
    stage, switch, old = moving(kind)
    stage.run(1800, finished(stage, switch))
    stage.run(120)
    move = stage.server.moves[switch]
    assert set(stage.server.steps(switch)) == set(UNTIL_OPENED[kind])
    assert stage.register.serving() == [move.new]
    assert stage.server.holder == move.new
    assert stage.server.orders[move.command_id].result["status"] == "completed"
    stage.nothing_lost()
    ordered = [move.recorded[step] for step in UNTIL_OPENED[kind]]
    assert ordered == sorted(ordered)
    assert old.primacy.held is None
    assert old.primacy.released == 1


def run_with_crash(kind, whose, at, before):
    stage, switch, old = moving(kind)
    if whose == "old":
        old.peril.kill_at(at, before=before)
    new = None

    def plant():
        nonlocal new
        for host in stage.hosts.values():
            if host is not old and new is None:
                new = host
                host.peril.kill_at(at, before=before)
        return finished(stage, switch)()

    stage.run(2400, plant if whose == "new" else finished(stage, switch))
    stage.run(300)
    victim = old if whose == "old" else new
    return stage, switch, victim


@each_kind
@pytest.mark.parametrize("whose", ["old", "new"])
def test_a_crash_around_any_effect_changes_nothing_but_the_time(kind, whose):
    for at in range(1, 200):
        crashed = False
        for before in (True, False):
            stage, switch, victim = run_with_crash(kind, whose, at, before)
            crashed = crashed or victim.crashes > 0
            where = f"{kind} {whose} effect {at} {'before' if before else 'after'}"
            assert finished(stage, switch)(), where
            assert stage.register.serving() == [stage.server.moves[switch].new], where
            assert set(stage.server.steps(switch)) == set(UNTIL_OPENED[kind]), where
            stage.nothing_lost()
            machines = [m for m in stage.ec2.describe_instances() if m.state == "running"]
            assert len(machines) == 2, f"{where}: a crash launched twice"
        if not crashed:
            assert at > 5
            return
    raise AssertionError("the effects of one move never ended")


@each_kind
def test_a_move_that_the_server_does_not_know_is_given_up(kind):
    """Its database was put back to an older copy: it carries nothing on, and neither waits nor grants."""
    stage, switch, old = moving(kind)
    stage.run(1800, lambda: Step.GATE_CLOSED in stage.server.moves[switch].recorded)
    stage.server.refuse["switch-report"] = Reply(404, {"detail": "no such move of this agent"})
    stage.run(60, lambda: stage.register.serving() == [old.instance_id])
    assert stage.register.serving() == [old.instance_id]
    assert old.primacy.held == 1


def test_a_volume_move_leaves_what_is_shown_for_a_look():
    """By its tag alone: which device a volume had before the server knows, and not the agent."""
    stage = Stage()
    old = stage.primary()
    copy = stage.ec2.create_volume(ClientToken("copy"), A.az, 20, {PURPOSE_TAG: PURPOSE})
    stage.run(60)
    stage.ec2.attach_volume(copy, old.instance_id, SALVAGE_DEVICE)
    assert [one.device for one in empty_alike(stage.ec2, old.instance_id)] == [STATE], (
        "nor does a standby get one"
    )
    stage, switch, old = moving(MoveKind.VOLUME, stage, old)
    stage.run(1800, finished(stage, switch))
    (view,) = stage.ec2.describe_volumes([copy])
    assert view.attached_to == old.instance_id
    assert stage.register.serving() == [stage.server.moves[switch].new]
    stage.nothing_lost()


class Shared:
    """EC2, in which several machines may have any volume at once (Multi-Attach)."""

    def __init__(self, inner):
        self._inner = inner

    def describe_volumes(self, *args, **named):
        return tuple(replace(one, shared_by=()) for one in self._inner.describe_volumes(*args, **named))

    def __getattr__(self, name):
        return getattr(self._inner, name)


def test_a_volume_that_several_machines_may_have_is_carried_nowhere():
    """Single attachment is the fence, and it has none."""
    stage = Stage()
    stage.ec2 = Shared(stage.ec2)
    stage, switch, old = moving(MoveKind.VOLUME, stage)
    stage.run(1800, lambda: Step.GATE_CLOSED in stage.server.moves[switch].recorded)
    stage.run(60, lambda: stage.register.serving() == [old.instance_id])
    stage.run(300)
    assert stage.register.serving() == [old.instance_id]
    assert Step.VOLUMES_MOVED not in stage.server.moves[switch].recorded
    assert old.primacy.held == 1
