"""A small storm; the 200 workloads of the issue are `python -m tests.storm`, which also says how long it took."""

import pytest

from spotguard.domain.agents import Executor
from tests.storm.storm import Storm

pytestmark = pytest.mark.long


@pytest.mark.parametrize("executor", list(Executor))
def test_a_zone_is_taken_at_one_instant_and_nobody_is_lost(executor):
    storm = Storm(agents=16, bystanders=12, executor=executor)
    try:
        aftermath = storm.run()
    finally:
        storm.close()
    assert aftermath.standbys_ready == 8
    assert (aftermath.decided, aftermath.served_again) == (16, 16)
    assert (aftermath.records_lost, aftermath.overlaps, aftermath.broken) == (0, 0, ())
    assert aftermath.rescue_launches >= 8 or executor is Executor.AGENT
    # rescues have a lane of their own, where the server calls EC2: agents that do know nothing of each other
    assert aftermath.voluntary_launches_meanwhile == 0 or executor is Executor.AGENT
