"""Who has let go and lives on without serving: nobody serves, and no rule goes on from there."""

from datetime import timedelta

import pytest

from spotguard.domain.signals import SignalType
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, Scene


class Everybody:
    def __contains__(self, _instance_id):
        return True


@pytest.mark.parametrize(
    ("enabled", "mend"), [(True, "terminate it, and the workload is recovered"), (False, "enable it")]
)
def test_who_has_let_go_and_outlives_its_notice_is_told_of(enabled, mend):
    """Its standby never came up, and AWS has not taken it: nothing else would ever happen."""
    scene = Scene()
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    old = scene.serving(agent)
    scene.mute = Everybody()
    guest, now = scene.guests[old], scene.now
    scene._send(guest, SignalType.TERMINATION, now, now + timedelta(seconds=120))
    scene.run(130)
    assert not scene.is_open(agent)
    scene.config(agent, enabled=enabled)
    scene.run(1500)
    (told,) = scene.rows(agent_events, agent_events.c.kind == "nobody_serves")
    assert mend in told.message
