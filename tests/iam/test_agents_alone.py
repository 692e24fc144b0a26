"""The same where agents call EC2 themselves and the server does not: with `spotguard iam policy agent`."""

import pytest

from spotguard.domain.agents import Executor
from tests.iam.scene import enforced
from tests.iam.tours import NOT_BY_MOVES, moved, toured, with_a_standby

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def alone():
    """Agents call EC2, the server does not."""
    with enforced(agents=4, executor=Executor.AGENT, server_calls=False) as scene:
        moved(scene, "synced", "volume", "image")
        with_a_standby(scene, "build-1")
        scene.wait(minutes=10)
        return toured(scene, scene.agents)


def test_no_call_goes_beyond_the_policy(alone):
    assert alone.witness.judged > 100
    assert alone.witness.refused == []


def test_every_action_of_the_policy_is_needed(alone):
    assert alone.not_called == set(NOT_BY_MOVES)


def test_every_statement_that_allows_something_is_needed(alone):
    assert alone.allowing - set(alone.witness.used[alone.role]) == set()
