"""What may wait ends in time: a pass is no longer for everybody's housekeeping, and nobody's turn is forgotten."""

from datetime import timedelta

from spotguard.coordinator.context import Context, CoordinatorSettings
from spotguard.coordinator.turns import SLICE, Turns
from spotguard.domain.agents import Executor
from spotguard.store import tenants
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
