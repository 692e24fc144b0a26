"""Requests by people and programs that hold a role of SpotGuard, in few words."""

from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import document
from tests.iam.evaluator import Request, decide

HERE, ELSEWHERE = "ap-south-1", "eu-west-1"
ACCOUNT, STRANGERS = "111122223333", "444455556666"
PROFILE = f"arn:aws:iam::{ACCOUNT}:role/web"
QUARANTINE = "sg-0123456789abcdef0"
AGENT = "agent-1"

OURS = {"spotguard:managed": "acme"}
ANOTHERS = {"spotguard:managed": "another"}  # another installation's, in the same account
ADOPTED = {"spotguard:adopted": AGENT}
UNTAGGED = {}
DRILLED = {**OURS, "spotguard:purpose": "drill"}
_OWNERLESS = ("image", "snapshot")


def policy(role=Role.OPERATE, drivers=(), **more):
    told = {"quarantine_group": QUARANTINE} if role is Role.DRILL else {"roles": (PROFILE,)}
    return document(statements(role, Scope("acme", HERE, ACCOUNT, **{**told, **more}), drivers))


def arn(kind, name="x", region=HERE, account=ACCOUNT):
    return f"arn:aws:ec2:{region}:{'' if kind in _OWNERLESS else account}:{kind}/{name}"


def to(action, kind, tags, region=HERE, account=ACCOUNT, name="x", **more):
    """A call of EC2 to something that exists and carries these tags."""
    context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    where = {"aws:RequestedRegion": region}
    return Request(f"ec2:{action}", arn(kind, name, region, account), {**where, **context, **more})


def making(action, kind, tags, region=HERE, **more):
    """A call of EC2 that makes something with these tags."""
    context = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = sorted(tags)
    return Request(
        f"ec2:{action}", arn(kind, "*", region), {"aws:RequestedRegion": region, **context, **more}
    )


def asking(action, region=HERE, **more):
    """A call that names no resource."""
    return Request(action, "*", {"aws:RequestedRegion": region, **more})


def is_allowed(request, *policies):
    together = {"Statement": [statement for one in policies for statement in one["Statement"]]}
    return decide(together, request)
