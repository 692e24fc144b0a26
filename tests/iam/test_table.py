"""The table of permissions itself: explained, short enough for IAM, and about the calls that the code makes."""

import ast
import re
from pathlib import Path

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.planning.permissions.actions import UNCONDITIONED
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import ALLOW, MOST_CHARACTERS, actions_of, characters, document
from spotguard.planning.permissions.traffic import Traffic
from tests.iam.cases import ACCOUNT, HERE, PROFILE, QUARANTINE

ROOT = Path(__file__).parents[2]
SCOPE = Scope(
    "acme",
    HERE,
    ACCOUNT,
    roles=(PROFILE,),
    quarantine_group=QUARANTINE,
    hosted_zones=("Z0123456789ABC",),
    records=("web.example.com",),
)
TABLES = {
    **{role.value: statements(role, SCOPE) for role in Role},
    **{f"operate {driver}": statements(Role.OPERATE, SCOPE, [driver]) for driver in Traffic},
}
each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)

# Calls that no role of ours needs.
NEEDED_BY_NO_ROLE = {
    "sts:GetCallerIdentity": "no permission is needed for it (STS API reference)",
}


@each_table
def test_every_statement_says_why_and_has_a_name_of_its_own(table):
    assert all(len(statement.because) > 8 for statement in table)
    names = [statement.sid for statement in table]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z0-9]+", name) for name in names)  # IAM takes no other signs


@each_table
def test_iam_takes_it(table):
    assert characters(document(table)) <= MOST_CHARACTERS


def test_what_iam_would_not_take_is_refused_here():
    many = tuple(f"subnet-{number:017x}" for number in range(60))
    with pytest.raises(InvalidInput, match="IAM takes 6144"):
        document(statements(Role.OPERATE, Scope("acme", HERE, ACCOUNT, subnets=many)))


def test_what_has_no_condition_on_tags_has_a_reason():
    allowed = [s for table in TABLES.values() for s in table if s.effect == ALLOW and s.sid != "InQuarantine"]
    bare = {action for s in allowed if "Tag/spotguard:" not in str(s.conditions) for action in s.actions}
    assert bare == set(UNCONDITIONED)


@each_table
def test_no_action_is_a_pattern(table):
    """A role grows by a line of the table, never by what AWS adds to a prefix."""
    assert [action for action in actions_of(table) if "*" in action or "?" in action] == []


def calls_of_the_room():
    """Every operation that cloud/aws names, as IAM names it."""
    services = {
        "elb": "elasticloadbalancing",
        "elbv2": "elasticloadbalancing",
        "service-quotas": "servicequotas",
    }
    for path in sorted((ROOT / "src/spotguard/cloud/aws").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in {"look", "change", "pages", "paginated"} or not node.args:
                continue
            operation = node.args[0]
            if isinstance(operation, ast.Constant):
                named = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
                service = named.get("service", "ec2")
                action = "".join(part.capitalize() for part in operation.value.split("_"))
                yield f"{services.get(service, service)}:{action}"


def test_every_call_that_the_code_makes_is_in_a_policy():
    called = set(calls_of_the_room())
    assert "ec2:RunInstances" in called
    allowed = {action for table in TABLES.values() for action in actions_of(table)}
    assert called - allowed == called & set(NEEDED_BY_NO_ROLE)
    assert not allowed & set(NEEDED_BY_NO_ROLE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "everywhere"},
        {"region": "*"},
        {"account": "12"},
        {"account": "*"},
        {"installation": "${aws:username}"},
        {"installation": "*"},
        {"installation": 'a"b'},
        {"installation": ""},
        {"client": "c\n"},
        {"agent": "?"},
        {"roles": ("*",)},
        {"roles": ("arn:aws:iam::111122223333:role/*",)},
        {"roles": ("arn:aws:iam::111122223333:user/web",)},
        {"subnets": ("subnet-*",)},
        {"images": ("ami-1",)},
        {"security_groups": ("default",)},
        {"key_pairs": ("*",)},
        {"instance_types": ("m5.large; x",)},
        {"quarantine_group": "*"},
        {"target_groups": ("*",)},
        {"hosted_zones": ("*",)},
        {"records": ("Web.example.com",)},
        {"records": ("*",)},
    ],
    ids=str,
)
def test_a_name_that_would_widen_a_policy_is_refused(wrong):
    with pytest.raises(InvalidInput, match="not one that a policy can name"):
        Scope(**wrong)


@pytest.mark.parametrize(
    ("region", "start", "service"),
    [
        ("ap-south-1", "arn:aws:ec2:ap-south-1:", "ec2.amazonaws.com"),
        ("us-gov-west-1", "arn:aws-us-gov:ec2:us-gov-west-1:", "ec2.amazonaws.com"),
        ("cn-north-1", "arn:aws-cn:ec2:cn-north-1:", "ec2.amazonaws.com.cn"),
    ],
)
def test_partitions(region, start, service):
    table = statements(Role.OPERATE, Scope("acme", region, ACCOUNT, roles=(PROFILE,)))
    told = str(document(table))
    assert start in told
    assert f"'iam:PassedToService': '{service}'" in told
    assert "arn:aws:ec2" not in told or start.startswith("arn:aws:")


DOCUMENT = (ROOT / "docs/permissions.md").read_text()
ROWS = dict(re.findall(r"^\| `([\w:]+)` \| (.+?) \|$", DOCUMENT, re.MULTILINE))


def test_every_statement_is_documented_with_its_reason():
    others = [Scope("acme", HERE, ACCOUNT, images=("ami-0123456789",)), Scope("acme")]
    tables = [*TABLES.values(), *(statements(Role.OPERATE, scope) for scope in others)]
    told = {statement.sid: statement.because for table in tables for statement in table}
    assert {name for name in ROWS if ":" not in name} == set(told)
    assert all(ROWS[s.sid] == s.because for s in (*TABLES["operate"], *TABLES["read"]))


def test_every_action_without_a_condition_is_documented_with_its_reason():
    assert {name: why for name, why in ROWS.items() if ":" in name} == UNCONDITIONED
