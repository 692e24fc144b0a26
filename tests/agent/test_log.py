"""What an agent's log says of its workload and of its server, once each."""

import pytest
import structlog
from structlog.testing import capture_logs

from spotguard.telemetry import configure_logging
from tests.agent.stage import Stage


@pytest.fixture(autouse=True)
def _as_an_agent_logs_by_default():
    """Whatever a command has set in this process before."""
    former = structlog.get_config()
    configure_logging("info")
    yield
    structlog.configure(**former)


def test_a_workload_that_ended_by_itself_and_a_server_that_answers_again_are_told_once():
    stage = Stage()
    host = stage.primary()
    with capture_logs() as told:
        stage.server.away = True
        stage.run(120)
        host.gate.close()
        stage.run(120)
        stage.server.away = False
        stage.run(600)
    assert stage.register.serving() == [host.instance_id]
    ours = [
        line for line in told if line["event"] in {"server", "workload started", "the server answers again"}
    ]
    assert [(line["event"], line["log_level"]) for line in ours] == [
        ("server", "warning"),
        ("workload started", "warning"),
        ("the server answers again", "info"),
    ]
    assert (ours[1]["instance"], ours[1]["epoch"]) == (host.instance_id, 1)
