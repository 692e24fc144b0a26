"""Every rule of the doctor, in each level that it has."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.planning.checkup import of_fleet, of_server
from spotguard.planning.checkup.facts import (
    AccountFacts,
    Cluster,
    DatabaseFacts,
    Facts,
    Fleet,
    Owned,
    PublicUrl,
    Space,
    Standby,
    TurnedSwitch,
    Watched,
)
from spotguard.planning.checkup.report import LEVEL, RULES, checkup
from spotguard.planning.eligibility.facts import Permission, Quota
from spotguard.planning.findings import BY_GRAVITY, Grade, Unseen, examine, worst

FINE, CARE, STOP, UNKNOWN = Grade.FINE, Grade.CARE, Grade.STOP, Grade.UNKNOWN
BLIND = Unseen("nobody may look")
S, F = of_server, of_fleet
GIB = 1024 * S.MIB

DATABASE = DatabaseFacts("mysql", (), (), Cluster(ready=True, size=3), 0.0, Space(GIB, 10 * GIB))
STANDBY = Standby("r-1", "ready", "t3.medium.b", "b", 5.0)
AGENT = Watched(
    "web", "acme", switching=False, silent_seconds=3.0, version="1", gate_open=True, pool_id="t3.medium.a",
    az="a", standbys=(STANDBY,),
)  # fmt: skip
FLEET = Fleet(("host:1",), (), (), (AGENT,), ())
ACCOUNT = AccountFacts(
    "acme", Executor.SERVER, "arn:me", 0.5, spot_role=True,
    permissions=(Permission("ec2:RunInstances", allowed=True),), quotas=(Quota("spot", 100, 10),),
)  # fmt: skip
URL = PublicUrl("https://sg.example", loopback=False, encrypted=True)
GOOD = Facts("1", URL, DATABASE, FLEET, (ACCOUNT,))
DARK = Facts("1", URL, BLIND, BLIND, BLIND)


def database(**changes):
    return replace(GOOD, database=replace(DATABASE, **changes))


def fleet(**changes):
    return replace(GOOD, fleet=replace(FLEET, **changes))


def agent(**changes):
    return fleet(agents=(replace(AGENT, **changes),))


def standby(**changes):
    return agent(standbys=(replace(STANDBY, **changes),))


def account(**changes):
    return replace(GOOD, accounts=(replace(ACCOUNT, **changes),))


def test_who_is_not_let_in_is_told_about_the_role_only_where_there_is_one():
    locked = account(identity=Unseen("AccessDenied"))
    assert "trust policy" in str(F.every_account_lets_us_in(locked).mend)
    own = account(identity=Unseen("AccessDenied"), has_role=False)
    assert "the server's own credentials" in str(F.every_account_lets_us_in(own).mend)


def test_where_nobody_was_let_in_it_is_not_said_that_ec2_answered():
    blind = account(identity=BLIND, permissions=(Permission("ec2:RunInstances", allowed=None),))
    [finding] = [one for one in checkup(blind) if one.name == "every-call-of-a-move-is-permitted"]
    assert (finding.grade, finding.because) == (UNKNOWN, f"not looked at: {BLIND.because}")


def owners(*, handed_over):
    """An instance that SpotGuard did not launch; EC2 refuses to end it."""
    denied = Permission("ec2:TerminateInstances", allowed=False, on_instance=True)
    return account(permissions=(denied,), owned=(Owned("agent-1", ("i-1", "vol-1"), handed_over),))


def switch(level):
    return fleet(switches=(TurnedSwitch("everybody", level, "a bad day"),))


CASES = [
    (S.the_database_answers, GOOD, FINE, "mysql answers"),
    (S.the_database_answers, DARK, STOP, "nobody may look"),
    (S.its_schema_is_the_newest, GOOD, FINE, "this version's"),
    (S.its_schema_is_the_newest, database(schema_differences=("a lacks b",) * 7), STOP, "and 2 more"),
    (S.its_schema_is_the_newest, DARK, UNKNOWN, "nobody may look"),
    (S.its_counters_equal_its_rows, GOOD, FINE, "equal"),
    (S.its_counters_equal_its_rows, database(miscounts=("agent a counts 2",)), STOP, "counts 2"),
    (S.its_counters_equal_its_rows, database(schema_differences=("x",)), UNKNOWN, "schema differs"),
    (S.its_cluster_has_a_quorum, GOOD, FINE, "3 nodes"),
    (S.its_cluster_has_a_quorum, database(cluster=None), FINE, "not a cluster"),
    (S.its_cluster_has_a_quorum, database(cluster=Cluster(ready=True, size=2)), CARE, "2 nodes"),
    (S.its_cluster_has_a_quorum, database(cluster=Cluster(ready=False, size=1)), STOP, "quorum"),
    (S.its_cluster_has_a_quorum, DARK, UNKNOWN, "nobody may look"),
    (S.its_disk_has_room, GOOD, FINE, "10240 MiB free"),
    (S.its_disk_has_room, database(space=Space(2 * GIB, GIB)), CARE, "1024 MiB free"),
    (S.its_disk_has_room, database(space=Space(GIB, 50 * S.MIB)), STOP, "50 MiB free"),
    (S.its_disk_has_room, database(space=BLIND), UNKNOWN, "nobody may look"),
    (S.its_clock_is_this_machines, GOOD, FINE, "0.0 s"),
    (S.its_clock_is_this_machines, database(ahead_seconds=-2.0), CARE, "2.0 s behind"),
    (S.its_clock_is_this_machines, database(ahead_seconds=9.0), STOP, "9.0 s ahead of"),
    (S.its_clock_is_this_machines, DARK, UNKNOWN, "nobody may look"),
    (S.awss_clock_is_this_machines, GOOD, FINE, "AWS"),
    (S.awss_clock_is_this_machines, account(ahead_seconds=-40.0), CARE, "40.0 s behind"),
    (S.awss_clock_is_this_machines, account(ahead_seconds=400.0), STOP, "400.0 s ahead"),
    (S.awss_clock_is_this_machines, account(ahead_seconds=BLIND), UNKNOWN, "nobody may look"),
    (S.awss_clock_is_this_machines, replace(GOOD, accounts=()), UNKNOWN, "no client has an account"),
    (S.agents_can_reach_this_server, GOOD, FINE, "https://sg.example"),
    (S.agents_can_reach_this_server, replace(GOOD, public_url=None), CARE, "not set"),
    (S.agents_can_reach_this_server, replace(GOOD, public_url=replace(URL, encrypted=False)), CARE, "tokens"),
    (S.agents_can_reach_this_server, replace(GOOD, public_url=replace(URL, loopback=True)), STOP, "itself"),
    (S.a_coordinator_is_alive, GOOD, FINE, "host:1"),
    (
        S.a_coordinator_is_alive,
        fleet(coordinators_alive=(), coordinators_gone=("host:0",)),
        STOP,
        "gone: host:0",
    ),
    (S.a_coordinator_is_alive, DARK, UNKNOWN, "nobody may look"),
    (S.no_kill_switch_is_turned, GOOD, FINE, "nothing is stopped"),
    (S.no_kill_switch_is_turned, switch(KillLevel.VOLUNTARY), CARE, "everybody: voluntary (a bad day)"),
    (S.no_kill_switch_is_turned, switch(KillLevel.ALL), STOP, "Emergencies are stopped too"),
    (S.no_kill_switch_is_turned, DARK, UNKNOWN, "nobody may look"),
    (F.every_agent_is_heard, GOOD, FINE, "1 agent "),
    (
        F.every_agent_is_heard,
        fleet(disabled=("acme/old",)),
        FINE,
        "disabled, and not looked at by any rule: acme/old",
    ),
    (F.every_agent_is_heard, agent(silent_seconds=28_248_980.0), STOP, "acme/web for 326 d"),
    (F.every_agent_is_heard, agent(silent_seconds=121.0), STOP, "acme/web for 2 min"),
    (F.every_agent_is_heard, agent(silent_seconds=None), STOP, "never heard"),
    (F.every_agent_is_heard, DARK, UNKNOWN, "nobody may look"),
    (F.every_agent_serves, GOOD, FINE, "open gates"),
    (F.every_agent_serves, agent(gate_open=False), STOP, "acme/web"),
    (F.every_agent_serves, agent(gate_open=False, switching=True), FINE, "in a move"),
    (F.every_agent_serves, agent(gate_open=None), UNKNOWN, "acme/web"),
    (F.no_serving_instance_hibernates, GOOD, FINE, "no instance that serves"),
    (F.no_serving_instance_hibernates, agent(hibernates=None), FINE, "as far as EC2 has shown"),
    (F.no_serving_instance_hibernates, agent(hibernates=True), CARE, "configured: acme/web"),
    (F.no_state_hangs_on_one_root_disk, agent(state_on_root=True, standbys=()), CARE, "acme/web"),
    (
        F.no_state_hangs_on_one_root_disk,
        agent(state_on_root=True, standbys=(), is_imaged=True),
        FINE,
        "no state",
    ),
    (F.no_state_hangs_on_one_root_disk, agent(state_on_root=True), FINE, "no state"),
    (
        F.no_state_hangs_on_one_root_disk,
        agent(state_on_root=True, standbys=(replace(STANDBY, lag_seconds=None),)),
        CARE,
        "until a person brings it back",
    ),
    (F.no_state_hangs_on_one_root_disk, agent(standbys=()), FINE, "as far as agents have told"),
    (F.no_state_hangs_on_one_root_disk, DARK, UNKNOWN, "nobody may look"),
    (F.no_serving_instance_hibernates, DARK, UNKNOWN, "nobody may look"),
    (F.every_clone_has_what_it_boots, GOOD, FINE, "1 agent "),
    (F.every_clone_has_what_it_boots, agent(has_image=False), CARE, "would come up: acme/web"),
    (F.every_clone_has_what_it_boots, DARK, UNKNOWN, "nobody may look"),
    (F.every_agent_has_this_version, GOOD, FINE, "of 1"),
    (F.every_agent_has_this_version, agent(version="0"), CARE, "acme/web (0)"),
    (F.every_agent_has_this_version, agent(version=None), CARE, "(unknown)"),
    (F.every_agent_has_this_version, DARK, UNKNOWN, "nobody may look"),
    (F.every_standby_is_fresh, GOOD, FINE, "1 standby, "),
    (F.every_standby_is_fresh, standby(lag_seconds=61.0), CARE, "61 s old"),
    (F.every_standby_is_fresh, standby(lag_seconds=None), CARE, "no complete pass"),
    (F.every_standby_is_fresh, standby(lag_seconds=601.0), STOP, "10 min old"),
    (F.every_standby_is_fresh, DARK, UNKNOWN, "nobody may look"),
    (F.every_standby_is_elsewhere, GOOD, FINE, "none in the zone of its primary"),
    (F.every_standby_is_elsewhere, standby(az="a"), CARE, "zone of its primary: acme/web"),
    (F.every_standby_is_elsewhere, standby(az="a", pool_id="t3.medium.a"), STOP, "pool of its primary"),
    (F.every_standby_is_elsewhere, standby(az=None, pool_id=None), FINE, "none in the zone of its primary"),
    (F.every_standby_is_elsewhere, DARK, UNKNOWN, "nobody may look"),
    (F.every_allowed_type_is_known, GOOD, FINE, "something is known"),
    (F.every_allowed_type_is_known, agent(unknown_types=("t3.medum",)), CARE, "of acme/web: t3.medum"),
    (F.every_allowed_type_is_known, DARK, UNKNOWN, "nobody may look"),
    (F.every_client_that_needs_an_account_has_one, GOOD, FINE, "every client"),
    (F.every_client_that_needs_an_account_has_one, fleet(without_account=("acme",)), STOP, "acme"),
    (F.every_client_that_needs_an_account_has_one, DARK, UNKNOWN, "nobody may look"),
    (F.every_account_lets_us_in, GOOD, FINE, "1 accounts"),
    (F.every_account_lets_us_in, account(identity=Unseen("AccessDenied")), STOP, "acme (AccessDenied)"),
    (F.every_account_lets_us_in, account(identity=BLIND, has_credentials=False), STOP, "no AWS credentials"),
    (F.every_account_lets_us_in, DARK, UNKNOWN, "nobody may look"),
    (F.every_call_of_a_move_is_permitted, GOOD, FINE, "every call"),
    (
        F.every_call_of_a_move_is_permitted,
        account(permissions=(Permission("ec2:CreateImage", allowed=False),)),
        STOP,
        "acme: ec2:CreateImage",
    ),
    (
        F.every_call_of_a_move_is_permitted,
        account(permissions=(Permission("ec2:CreateImage", None, "Strange"),)),
        UNKNOWN,
        "dry run of ec2:CreateImage",
    ),
    (F.every_call_of_a_move_is_permitted, account(permissions=BLIND), UNKNOWN, "nobody may look"),
    (F.every_call_of_a_move_is_permitted, owners(handed_over=False), FINE, "every call"),
    (F.every_call_of_a_move_is_permitted, owners(handed_over=True), STOP, "ec2:TerminateInstances"),
    (F.every_instance_is_handed_over, GOOD, FINE, "0 serving instances"),
    (F.every_instance_is_handed_over, owners(handed_over=True), FINE, "1 serving instances"),
    (F.every_instance_is_handed_over, owners(handed_over=False), CARE, "i-1; after a move"),
    (F.every_instance_is_handed_over, account(owned=(BLIND,)), UNKNOWN, "nobody may look"),
    (F.every_quota_has_room, GOOD, FINE, "1 quotas"),
    (F.every_quota_has_room, account(quotas=(Quota("spot", 100, 80),)), CARE, "acme: spot, 80 of 100"),
    (F.every_quota_has_room, account(quotas=(Quota("spot", 0, 0),)), STOP, "0 of 0"),
    (F.every_quota_has_room, account(quotas=(BLIND,)), UNKNOWN, "nobody may look"),
    (F.the_spot_service_has_its_role, GOOD, FINE, "AWSServiceRoleForEC2Spot"),
    (F.the_spot_service_has_its_role, account(spot_role=False), CARE, "for acme"),
    (F.the_spot_service_has_its_role, account(spot_role=BLIND), UNKNOWN, "nobody may look"),
]


@pytest.mark.parametrize(("judge", "facts", "grade", "words"), CASES)
def test_the_rule_says(judge, facts, grade, words):
    (rule,) = [one for one in RULES if one.judge is judge]
    (finding,) = examine([rule], facts)
    assert finding.grade is grade, finding.because
    assert words in finding.because
    assert bool(finding.mend) is (grade is not FINE)


ALWAYS_SEEN = {S.the_database_answers, S.agents_can_reach_this_server}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_tried_well_and_ill_and_unseen(rule):
    tried = {grade for judge, _, grade, _ in CASES if judge is rule.judge}
    assert FINE in tried
    assert tried & {CARE, STOP}
    assert UNKNOWN in tried or rule.judge in ALWAYS_SEEN


def test_a_sound_installation_is_well():
    assert worst(checkup(GOOD)) is FINE
    assert set(LEVEL) == set(BY_GRAVITY) == set(Grade)


def test_without_its_database_one_error_is_told_and_nothing_is_called_well():
    findings = checkup(DARK)
    assert [one.name for one in findings if one.grade is STOP] == ["the-database-answers"]
    assert [one.name for one in findings if one.grade is FINE] == ["agents-can-reach-this-server"]


def test_the_line_that_hands_an_instance_over_is_shown():
    (finding,) = [
        one for one in checkup(owners(handed_over=False)) if one.name == "every-instance-is-handed-over"
    ]
    line = "aws ec2 create-tags --resources i-1 vol-1 --tags Key=spotguard:adopted,Value=agent-1"
    assert finding.mend == line
