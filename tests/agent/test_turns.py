"""When a duty's turn comes."""

from random import Random

from spotguard.agent.runner import shared


def test_a_fleet_s_duties_come_apart_and_what_aws_waits_for_comes_in_its_time():
    dice = Random(1)
    assert len({shared("presence", 100.0, dice) for _ in range(100)}) > 50
    assert all(100.0 <= shared("presence", 100.0, dice) <= 110.0 for _ in range(100))
    assert {shared("moves", 100.0, dice) for _ in range(100)} == {100.0}
