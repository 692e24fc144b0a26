"""A comparison's end is told by the server's clock."""

from datetime import timedelta

from spotguard.ports.salvage import Missing
from tests.agent.stage import Stage


class Salvage:
    def compare(self, copy_id):
        return Missing(0, 0, None)


def test_a_clock_that_is_ahead_ends_no_comparison():
    stage = Stage()
    stage.server.clock_ahead = timedelta(hours=-2)  # ours is two hours ahead of the server's
    host = stage.primary()
    stage.run(70)
    desk = host.agent.desk
    assert desk.ahead is not None
    object.__setattr__(desk.ports, "salvage", Salvage())
    order = stage.server.order(
        host.instance_id, "compare_state", {"copy_id": "vol-0123456789abcdef0"}, seconds=900
    )
    stage.run(120, until=lambda: order.result)
    assert order.result["status"] == "completed", order.result
