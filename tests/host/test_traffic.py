"""The user's traffic script on real processes, and which route goes to whom."""

import pytest

from spotguard.cli.agent_process import hooks_of, script_of
from spotguard.cli.agent_settings import AgentFile
from spotguard.domain.errors import InvalidInput, NeedsPerson
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import ElasticIp, Script
from spotguard.host.traffic import InstanceTraffic, ScriptTraffic
from spotguard.ports.traffic import Arrival, Endpoint, Handing

NEW = Endpoint(InstanceId("i-00000000000000002"), "10.0.0.2", "198.51.100.2")
OLD = Endpoint(InstanceId("i-00000000000000001"), "10.0.0.1")
HANDING = Handing(NEW, 7, OLD)
TELL = (
    'echo "$SPOTGUARD_EPOCH $SPOTGUARD_OLD_INSTANCE_ID $SPOTGUARD_OLD_PRIVATE_IP [$SPOTGUARD_OLD_PUBLIC_IP]'
    ' $SPOTGUARD_NEW_INSTANCE_ID $SPOTGUARD_NEW_PRIVATE_IP $SPOTGUARD_NEW_PUBLIC_IP" > {}'
)


def shell(text):
    return ["sh", "-c", text]


def test_the_script_is_told_both_ends_and_the_epoch_and_the_check_says_where_clients_are(tmp_path):
    told = tmp_path / "told"
    traffic = ScriptTraffic(shell(TELL.format(told)), ["test", "-e", str(told)], 5)
    assert traffic.read_back(Script(), HANDING, None).arrival is Arrival.ELSEWHERE
    traffic.switch(Script(), HANDING)
    assert traffic.read_back(Script(), HANDING, None).arrival is Arrival.HERE
    assert told.read_text().split() == [
        *("7", OLD.instance_id, "10.0.0.1", "[]"),
        *(NEW.instance_id, "10.0.0.2", "198.51.100.2"),
    ]
    traffic.switch(Script(), Handing(NEW, 8))
    assert told.read_text().split() == ["8", "[]", NEW.instance_id, "10.0.0.2", "198.51.100.2"]


@pytest.mark.parametrize("script", [["false"], ["sleep", "9"], ["/no/such/program"]])
def test_a_script_that_fails_is_a_persons_matter(script):
    with pytest.raises(NeedsPerson):
        ScriptTraffic(script, ["true"], 0.3).switch(Script(), HANDING)


def test_a_route_that_this_instance_cannot_move_says_what_is_missing():
    traffic = InstanceTraffic(None, None)
    with pytest.raises(NeedsPerson, match="traffic_script"):
        traffic.switch(Script(), HANDING)
    with pytest.raises(NeedsPerson, match="no access to AWS"):
        traffic.read_back(ElasticIp("eipalloc-00000001"), HANDING, None)


def file(**more):
    return AgentFile(server_url="https://server", logical_agent_id="web", **more)


def test_the_settings_name_both_commands_or_neither():
    with pytest.raises(InvalidInput, match="traffic_check"):
        script_of(file(traffic_script=["move"]))
    with pytest.raises(InvalidInput, match="thaw"):
        hooks_of(file(quiesce=["freeze"]))
    assert hooks_of(file()) is None
    assert script_of(file()) is None
    both = script_of(file(traffic_script=["true"], traffic_check=["true"]))
    assert both.read_back(Script(), HANDING, None).arrival is Arrival.HERE
