"""A limit that a policy would ignore is refused; one that is taken changes it. Every role with every limit."""

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import document
from spotguard.planning.permissions.traffic import Traffic
from spotguard.planning.permissions.used import require_used

BARE = {"region": "ap-south-1"}
NAMED = {
    "account": "111122223333",
    "client": "c-1",
    "agent": "a-1",
    "roles": ("arn:aws:iam::111122223333:role/web",),
    "images": ("ami-01234567",),
    "subnets": ("subnet-01234567",),
    "security_groups": ("sg-01234567",),
    "key_pairs": ("key",),
    "instance_types": ("m5.*",),
    "require_imdsv2": True,
    "target_groups": (
        "arn:aws:elasticloadbalancing:ap-south-1:111122223333:targetgroup/web/0123456789abcdef",
    ),
}


def policy(role, drivers=(), **told):
    quarantined = {"quarantine_group": "sg-76543210"} if role is Role.DRILL else {}
    return document(statements(role, Scope(**BARE, **quarantined, **told), drivers))


def is_taken(role, drivers, field):
    try:
        require_used(role, drivers, [field])
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize("field", NAMED)
@pytest.mark.parametrize("role", Role)
def test_what_is_taken_changes_the_policy_and_what_is_refused_would_not(role, field):
    drivers = [Traffic.TARGET_GROUP] if role in (Role.OPERATE, Role.AGENT) else []
    changes = policy(role, drivers, **{field: NAMED[field]}) != policy(role, drivers)
    if (role, field) == (Role.DRILL, "require_imdsv2"):
        changes = True  # it holds for a drill in any case
    assert is_taken(role, drivers, field) is changes


def test_what_belongs_to_a_driver_needs_it():
    assert not is_taken(Role.OPERATE, [], "target_groups")
    for field in ("hosted_zones", "records"):
        assert not is_taken(Role.OPERATE, [Traffic.TARGET_GROUP], field)
        assert is_taken(Role.OPERATE, [Traffic.DNS], field)
