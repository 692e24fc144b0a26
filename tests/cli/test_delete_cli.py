"""`spotguard delete`: what goes on is told before it asks, and nothing is deleted that was not shown."""

from __future__ import annotations

import pytest

from spotguard.cli.asking import Asking
from spotguard.cli.delete import deleted, lines_of
from spotguard.cli.output import Failed
from tests.api.test_leftovers import stray
from tests.api.world import POOL_A, Machine, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def web(world: World) -> Machine:
    machine = world.register(world.tenant(), "web")
    machine.prices({POOL_A: 0.0312})
    machine.heartbeat(workload_healthy=True)
    return machine


@pytest.fixture
def asking(world: World, web: Machine) -> Asking:
    return Asking(world.link, web.tenant.token, lambda _seconds: None)


def test_what_goes_on_is_told_with_its_cost_before_it_asks(asking, web):
    told: list[str] = []
    done = deleted(asking, "web", dry_run=False, agreed=lambda: bool(told), tell=told.append)
    assert told[0] == "goes on, its user's own again, guarded by nobody, 22.78 USD a month:"
    assert told[1].startswith(f"  instance {web.id}, made by its user, 22.78 USD a month: ")
    assert "terminate-instances" in told[1]
    assert (done["logicalAgentId"], done["left"][0]["resourceId"]) == ("web", web.id)
    with pytest.raises(Failed, match="no agent 'web'"):
        deleted(asking, "web", dry_run=True, agreed=lambda: True, tell=told.append)


def test_a_dry_run_asks_and_changes_nothing(asking, web):
    told: list[str] = []
    would = deleted(asking, "web", dry_run=True, agreed=lambda: False, tell=told.append)
    assert (would["left"][0]["resourceId"], told) == (web.id, [])
    assert web.tenant.agent(web)["status"] == "online"


def test_who_does_not_agree_deletes_nothing(asking, web):
    with pytest.raises(Failed, match="nothing was changed"):
        deleted(asking, "web", dry_run=False, agreed=lambda: False, tell=lambda _line: None)
    assert web.tenant.agent(web)["status"] == "online"


def test_what_was_not_shown_is_not_left_behind(asking, world, web):
    def agreed() -> bool:
        stray(world, web, "vol-1", attached_to=web.id, is_ours=False)
        return True

    with pytest.raises(Failed, match="look again"):
        deleted(asking, "web", dry_run=False, agreed=agreed, tell=lambda _line: None)
    assert web.tenant.agent(web)["status"] == "online"


def test_an_unknown_cost_is_called_so():
    volume = {"kind": "volume", "resourceId": "vol-1", "madeBySpotguard": True}
    left = [volume | {"usdPerMonth": None, "plan": "leave it"}]
    lines = list(lines_of({"left": left, "usdPerMonth": "0", "standbys": ["i-2"]}))
    assert lines[0].endswith("0.00 USD a month and 1 whose cost is not known:")
    assert lines[1:3] == ["  volume vol-1, made by SpotGuard, cost not known: leave it", "ends: i-2"]
    assert next(lines_of({"left": [], "usdPerMonth": "0", "standbys": []})) == "nothing of it goes on"


def test_json_asks_nothing(shell):
    assert "--yes" in shell.fails("delete", "web", "--json", "--token-file", "/nowhere", code=2)
