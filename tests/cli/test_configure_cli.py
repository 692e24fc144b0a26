"""`spotguard configure`: what is set for an agent, by the API's names; one word that is refused changes nothing."""

from __future__ import annotations

import pytest

from spotguard.cli.asking import Asking
from spotguard.cli.configure import configured, cost_text, parsed
from spotguard.cli.output import Failed
from spotguard.domain.errors import ServerAway
from tests.api.world import World


@pytest.fixture
def asking() -> Asking:
    world = World()
    tenant = world.tenant()
    world.register(tenant)
    return Asking(world.link, tenant.token, lambda _seconds: None)


def shown_cost(asking):
    return asking.call("GET", f"/api/client/agents/{asking.agent_named('web')}")["standbyCost"]


def test_what_a_standby_costs_is_shown_with_what_is_set(asking):
    cost = configured(asking, "web", {})["standbyCost"]
    assert cost == shown_cost(asking)
    known = cost | {"totalUsd": "0.030", "primaryUsd": "0.012", "standbyUsd": "0.013", "storageUsd": "0.005"}
    assert cost_text(known | {"onDemandUsd": "0.0416"}) == (
        "0.030 USD an hour with a standby (primary 0.012, standby 0.013, storage 0.005); on demand 0.0416"
    )
    assert cost_text(cost | {"totalUsd": None}).startswith("unknown USD an hour with a standby")
    with pytest.raises(Failed, match=r"^standbyCost: counted by the server"):
        configured(asking, "web", parsed(["standbyCost=1"]))


def test_it_shows_sets_and_takes_away_what_the_dashboard_does_not(asking):
    assert configured(asking, "web", {})["restorePointHours"] is None
    wanted = parsed(["restorePointHours=24", "riskThreshold=0.25", "autonomy=recommend", "allowedAzs=[]"])
    told = configured(asking, "web", wanted)
    assert (told["restorePointHours"], told["autonomy"]) == (24, "recommend")
    assert {**told, "standbyCost": shown_cost(asking)} == configured(asking, "web", {})
    assert configured(asking, "web", parsed(["restorePointHours=null"]))["restorePointHours"] is None


def test_what_is_refused_is_told_by_its_name_and_nothing_is_set(asking):
    before = configured(asking, "web", {})
    with pytest.raises(Failed, match=r"^restorePointHours: .*720"):
        configured(asking, "web", parsed(["restorePointHours=1000", "restorePointsKept=2"]))
    with pytest.raises(Failed, match=r"^restorePointHour: .*; is restorePointHours\b.* meant\?$"):
        configured(asking, "web", parsed(["restorePointHour=24"]))
    with pytest.raises(Failed, match=r"^colour: .*; spotguard configure AGENT shows the names$"):
        configured(asking, "web", parsed(["colour=blue"]))
    with pytest.raises(Failed, match=r"^terminateWaitMinutes: .*1440$"):
        configured(asking, "web", parsed(["terminateWaitMinutes=9999"]))
    with pytest.raises(Failed, match=r"^configVersion: counted by the server, and not set by hand$"):
        configured(asking, "web", parsed(["configVersion=3", "restorePointHours=24"]))
    with pytest.raises(Failed, match="no agent 'nosuch'"):
        configured(asking, "nosuch", {})
    assert configured(asking, "web", {}) == before


def test_what_is_no_setting_is_told_before_anybody_is_asked(shell):
    for typed, told in (("restorePointHours", "NAME=VALUE is wanted"), ("=1", "NAME=VALUE is wanted")):
        assert told in shell.fails("configure", "web", typed, "--token-file", "/nowhere", code=2)
    assert "named twice" in shell.fails("configure", "web", "a=1", "a=2", "--token-file", "/nowhere", code=2)


class Below:
    """The server by an address with a path that it does not have."""

    def __init__(self, link):
        self.link = link

    def call(self, method, path, **more):
        return self.link.call(method, f"/xyz{path}", **more)


def test_an_address_with_a_wrong_path_is_told_like_one_where_nobody_answers(asking):
    asking.link = Below(asking.link)
    with pytest.raises(
        ServerAway, match=r"^/api/client/agents is not there: does the address end with a wrong"
    ):
        configured(asking, "web", {})
