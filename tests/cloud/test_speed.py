"""What a simulated day may cost: three days are 26,000 looks at fifteen instances."""

import time

from spotguard.domain.instances import Mode
from tests.cloud.scene import TAGS, Scene


def seconds_of(action, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - started) / times


def test_looking_at_fifteen_instances_costs_well_under_a_third_of_a_millisecond():
    scene = Scene()
    for _ in range(15):
        scene.running(mode=Mode.ONDEMAND)

    def look():
        scene.wait(10)
        assert len(scene.ec2.describe_instances(tags=TAGS)) == 15

    assert seconds_of(look, 2000) < 0.0003


def test_advancing_when_nothing_is_due_costs_next_to_nothing():
    scene = Scene()
    assert seconds_of(scene.ec2.advance, 20_000) < 0.000_02
