"""`spotguard iam`: the policies to attach to SpotGuard's roles, made to measure. Nothing is called."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from spotguard.cli.output import options_mended, say, say_table, warn
from spotguard.config import load_settings
from spotguard.domain.errors import BadSetting
from spotguard.planning.permissions import trust as trusts
from spotguard.planning.permissions.actions import UNCONDITIONED
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import Statement, actions_of, document
from spotguard.planning.permissions.traffic import Traffic
from spotguard.planning.permissions.used import require_used

app = typer.Typer(no_args_is_help=True, help="IAM policies for SpotGuard's roles; see docs/permissions.md.")

_OWNERS = "Default: what its owner tagged spotguard:adopted."

Many = list[str] | None
TheRole = Annotated[Role, typer.Argument(help="read, drill, operate, or agent (where agents execute).")]
Region = Annotated[str | None, typer.Option(help="Such as ap-south-1. Default: every region.")]
AccountId = Annotated[str | None, typer.Option(help="Twelve digits. Default: any.")]
Installation = Annotated[
    str | None, typer.Option(help="Value of the tag spotguard:managed. Default: the setting.")
]
Client = Annotated[str | None, typer.Option(help="Only what is tagged as this tenant's (its id).")]
Agent = Annotated[str | None, typer.Option(help="Only what is tagged as this agent's (its id).")]
ProfileRoles = Annotated[
    Many, typer.Option(metavar="ARN", help="Role in an instance profile that clones keep; repeatable.")
]
Images = Annotated[Many, typer.Option(help=f"Image to launch from; repeatable. {_OWNERS}")]
Subnets = Annotated[Many, typer.Option(help=f"Subnet to launch into; repeatable. {_OWNERS}")]
SecurityGroups = Annotated[Many, typer.Option(help=f"Security group; repeatable. {_OWNERS}")]
KeyPairs = Annotated[Many, typer.Option(help=f"Name of a key pair; repeatable. {_OWNERS}")]
Types = Annotated[Many, typer.Option("--type", help="Only such types, as m5.*; repeatable. Default: all.")]
Imdsv2 = Annotated[
    bool, typer.Option("--require-imdsv2", help="Launch only what answers metadata by IMDSv2 alone.")
]
Quarantine = Annotated[str | None, typer.Option(help="Security group of a drill's clones (drill only).")]
Drivers = Annotated[list[Traffic] | None, typer.Option(help="A traffic driver's statements too; repeatable.")]
TargetGroups = Annotated[
    Many, typer.Option(metavar="ARN", help=f"Target group of target-group; repeatable. {_OWNERS}")
]
Zones = Annotated[Many, typer.Option(help="Zone id of dns; repeatable.")]
Records = Annotated[Many, typer.Option(help="Record of dns, lower case, without the last dot; repeatable.")]
Explain = Annotated[bool, typer.Option("--explain", help="The reasons instead of the JSON.")]


@app.command()
def policy(
    role: TheRole,
    *,
    region: Region = None,
    account: AccountId = None,
    installation: Installation = None,
    client: Client = None,
    agent: Agent = None,
    instance_profile_role: ProfileRoles = None,
    image: Images = None,
    subnet: Subnets = None,
    security_group: SecurityGroups = None,
    key_pair: KeyPairs = None,
    instance_type: Types = None,
    require_imdsv2: Imdsv2 = False,
    quarantine_group: Quarantine = None,
    traffic: Drivers = None,
    target_group: TargetGroups = None,
    hosted_zone: Zones = None,
    record: Records = None,
    explain: Explain = False,
) -> None:
    """Print the policy of a role as JSON, ready for `aws iam create-policy --policy-document file://…`."""
    told: dict[str, Any] = {
        "region": region,
        "account": account,
        "client": client,
        "agent": agent,
        "roles": tuple(instance_profile_role or ()),
        "images": tuple(image or ()),
        "subnets": tuple(subnet or ()),
        "security_groups": tuple(security_group or ()),
        "key_pairs": tuple(key_pair or ()),
        "instance_types": tuple(instance_type or ()),
        "require_imdsv2": require_imdsv2,
        "quarantine_group": quarantine_group,
        "target_groups": tuple(target_group or ()),
        "hosted_zones": tuple(hosted_zone or ()),
        "records": tuple(record or ()),
    }
    drivers = tuple(dict.fromkeys(traffic or ()))
    with options_mended():
        require_used(role, drivers, (name for name, value in told.items() if value))
        scope = Scope(installation=installation or load_settings().installation, **told)
        table = statements(role, scope, drivers)
        policy_document = document(table)
    if explain:
        _explain(table)
    else:
        _print(policy_document)
    if region is None:
        warn("No --region: the policy holds in every region.")
    if role in (Role.OPERATE, Role.AGENT) and not scope.roles:
        warn("No --instance-profile-role: an instance with a profile cannot be cloned with this policy.")


@app.command()
def trust(
    *,
    principal: Annotated[
        str | None, typer.Option(metavar="ARN", help="Who takes the role: SpotGuard's own role or user.")
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(help="The external id that SpotGuard generated for this client.")
    ] = None,
    instances: Annotated[
        bool, typer.Option("--instances", help="For the role agent: EC2 instances take it.")
    ] = False,
) -> None:
    """Print the trust policy of a role: who may take it."""
    if instances:
        if principal or external_id:
            raise BadSetting("--instances takes neither --principal nor --external-id")
        _print(trusts.of_instances())
    elif principal and external_id:
        with options_mended():
            told = trusts.of_server(principal, external_id)
        _print(told)
    else:
        raise BadSetting("--principal and --external-id are needed together, or --instances")


def _print(told: dict[str, Any]) -> None:
    say(json.dumps(told, indent=2))


def _explain(table: tuple[Statement, ...]) -> None:
    say_table(("statement", "reason"), [(s.sid, s.because) for s in table])
    say("")
    rows = [(action, UNCONDITIONED[action]) for action in actions_of(table) if action in UNCONDITIONED]
    say_table(("not conditioned on tags", "reason"), rows)
