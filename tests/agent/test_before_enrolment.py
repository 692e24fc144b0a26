"""What runs on an instance whose agent has not been able to enrol."""

import pytest

from spotguard.agent.enrolment import Enrolment
from tests.agent.stage import Host, Stage
from tests.cloud.scene import A, B


def copied(stage, primary):
    """A machine made from the holder's disk."""
    other = stage.launch(B)
    stage.wait(10)
    host = Host(stage, other)
    host.files.files.update(primary.files.files)
    return host


def stopped_and_started(stage, primary):
    """Its disk is of another boot of itself."""
    host = copied(stage, primary)
    host.files.files = {}
    stage.hosts[host.instance_id] = host
    stage.run(30)
    desk = host.agent.desk
    desk.keep_enrolment(Enrolment(host.instance_id, "former", "agent-1", "token"))
    return host


def launched(stage, primary):
    """For a move or as a standby."""
    other = stage.launch(B, user_data=stage.server.user_data("enrol"))
    stage.wait(10)
    return Host(stage, other)


@pytest.mark.parametrize("comes", [copied, stopped_and_started, launched])
def test_what_something_else_starts_is_stopped_before_it_could_enrol(comes):
    """A container of a restart policy comes up after the agent, and the server does not answer."""
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    host = comes(stage, primary)
    stage.hosts[host.instance_id] = host
    host.restart()
    stage.run(30)
    host.gate.open(1)
    stage.run(70)
    assert not host.agent.desk.is_enrolled
    assert stage.register.serving() == [primary.instance_id]


def test_what_a_user_starts_beside_an_agent_that_was_never_enrolled_is_left():
    stage = Stage()
    stage.server.away = True
    instance_id = stage.launch(A)
    stage.wait(10)
    host = stage.hosts[instance_id] = Host(stage, instance_id, installed_as="web")
    stage.run(30)
    host.gate.open(1)
    stage.run(70)
    assert stage.register.serving() == [instance_id]
