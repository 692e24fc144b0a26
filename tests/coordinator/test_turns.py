"""What may wait ends in time: a pass is no longer for everybody's housekeeping, and nobody's turn is forgotten."""

from datetime import timedelta

from spotguard.coordinator.context import Context, CoordinatorSettings
from spotguard.coordinator.turns import SHARE, SLICE, Fair, Turns
from spotguard.domain.agents import Executor
from spotguard.store import tenants
from spotguard.store.tables import switches
from tests.cloud.scene import START, StoryClock
from tests.coordinator.scene import Scene


class Slow:
    """EC2 that takes its time for one kind of call."""

    def __init__(self, scene, slow):
        self.scene, self.slow, self.calls = scene, slow, 0

    def __getattr__(self, name):
        if name == self.slow:
            self.calls += 1
            self.scene.clock.time += SLICE
        return getattr(self.scene.ec2, name)


def walk(turns, clock, items, seconds, urgent=()):
    """Each item takes so long."""
    seen = []
    for item in turns.of(items, lambda: urgent):
        seen.append(item)
        clock.time += timedelta(seconds=seconds)
    return seen


def turns_at(clock):
    return Turns(Context(None, None, clock, CoordinatorSettings(), None, None))


def test_who_was_left_over_comes_first_and_everybody_has_a_turn():
    clock = StoryClock(START)
    turns = turns_at(clock)
    assert walk(turns, clock, "abcde", 1.5) == ["a", "b"]
    assert turns.left == ["c", "d", "e"]
    assert walk(turns, clock, "abcdef", 1.5) == ["c", "d"]
    assert turns.left == ["e", "a", "b", "f"]
    assert walk(turns, clock, "abdf", 0) == ["a", "b", "f", "d"]
    assert turns.left == []


def test_one_that_takes_longer_than_the_slice_has_its_turn():
    clock = StoryClock(START)
    assert walk(turns_at(clock), clock, "ab", 60) == ["a"]


def test_what_cannot_wait_does_not():
    clock = StoryClock(START)
    turns = turns_at(clock)
    assert walk(turns, clock, "abcd", 3, urgent="d") == ["a", "d"]
    assert turns.left == ["b", "c"]


def test_what_is_left_over_is_a_reason_for_another_pass():
    clock = StoryClock(START)
    turns = turns_at(clock)
    walk(turns, clock, "ab", 60)
    assert turns._ctx.again_at


def test_whoever_wants_many_standbys_does_not_get_them_all_in_one_pass():
    """Each launch takes seconds, and somebody else's rescue waits for the end of the pass."""
    scene = Scene(executor=Executor.SERVER)
    wanting = [scene.protect(name, manual_replica_enabled=True) for name in ("one", "two", "three", "four")]
    cloud = Slow(scene, "run_instance")
    scene.coordinator.ctx.clouds = lambda _client: cloud
    launched = []
    for _ in range(8):
        before = cloud.calls
        scene.coordinator.run_pass()
        launched.append(cloud.calls - before)
        scene.clock.time += timedelta(seconds=10)
    assert max(launched) <= 2
    assert cloud.calls >= len(wanting)
    assert all(scene.agent(agent_id).replica_count == 1 for agent_id in wanting)


def test_prices_of_many_accounts_are_fetched_in_several_passes():
    scene = Scene()
    scene.protect()
    theirs, _ = scene.db.write(lambda tx: tenants.create_client(tx, scene.now, "them"))
    both = {scene.client_id: Slow(scene, "spot_price_history"), theirs: Slow(scene, "spot_price_history")}
    scene.coordinator.ctx.clouds = both.get
    scene.clock.time += timedelta(minutes=10)
    fetched = []
    for _ in range(3):
        scene.coordinator.prices.run(scene.now, list(both))
        fetched.append([cloud.calls for cloud in both.values()])
    assert fetched == [[1, 0], [1, 1], [1, 1]]


class Nothing:
    def read(self, work):
        return work(None)


def test_a_storm_at_one_client_holds_up_no_rescue_of_another():
    """Items are named after their client."""
    clock = StoryClock(START)
    ctx = Context(Nothing(), None, clock, CoordinatorSettings(), None, None)
    fair = Fair(ctx, lambda _tx, item: item[0])
    storm, other = [f"a{n}" for n in range(9)], ["b0", "b1"]

    def rescued(items):
        seen = []
        for item in fair.of(items):
            seen.append(item)
            clock.time += SHARE / 2
        return seen

    assert rescued([*storm, *other]) == ["a0", "a1", "b0", "b1"]
    assert ctx.again_at
    assert rescued(storm) == ["a2", "a3"]
    assert rescued(["a0", *storm[4:]]) == ["a4", "a5"]


def test_while_there_is_time_nobodys_client_is_asked_for():
    ctx = Context(None, None, StoryClock(START), CoordinatorSettings(), None, None)
    assert list(Fair(ctx, lambda _tx, _item: None).of(["a", "b"])) == ["a", "b"]


def test_when_many_of_one_client_have_ended_the_pass_ends_all_the_same_and_everybody_is_recovered():
    scene = Scene(executor=Executor.SERVER)
    lost = [scene.protect(name) for name in ("one", "two", "three", "four")]
    scene.run(60)
    scene.coordinator.ctx.clouds = lambda _client: cloud
    cloud = Slow(scene, "describe_volumes")
    for agent_id in lost:
        scene.ec2.controls.end_by_stranger(scene.agent(agent_id).instance_id)
    scene.clock.time += timedelta(minutes=3)
    scene.ec2.happenings()
    begun = []
    for _ in range(8):
        report = scene.coordinator.run_pass()
        begun.append(len(scene.rows(switches)))
        assert begun[-1] == len(lost) or report.next_due <= scene.now  # the next one comes at once
    assert 0 < begun[0] < len(lost)
    assert begun[-1] == len(lost)
