"""What the duties share: one item's failure leaves the others alone (invariant 14)."""

import pytest

from spotguard.coordinator.context import Context, CoordinatorSettings
from spotguard.domain.errors import Throttled


@pytest.mark.parametrize("error", [Throttled("RequestLimitExceeded"), ValueError("a poisoned row")])
def test_one_items_failure_leaves_the_others_their_turn(error):
    ctx = Context(None, None, None, CoordinatorSettings(), None, None)
    seen = []

    def work(item):
        seen.append(item)
        if item == "second":
            raise error
        return True

    assert ctx.each("duty", ["first", "second", "third"], work) == 2
    assert seen == ["first", "second", "third"]
