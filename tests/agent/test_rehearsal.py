"""A `drill` command opens the gate of a clone that was launched for that very drill, and of nobody else."""

from tests.agent.stage import Stage
from tests.agent.test_commands import answered


def test_an_instance_that_was_not_launched_for_it_refuses_whatever_its_role():
    stage = Stage()
    primary = stage.primary()
    order = stage.server.order(primary.instance_id, "drill", {"drill_id": "drill-1"})
    result = answered(stage, order)
    assert result["status"] == "refused"
    assert "not launched for this drill" in result["message"]
    assert stage.register.serving() == [primary.instance_id]
    assert stage.register.rehearsing == set()
