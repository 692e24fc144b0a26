"""`spotguard doctor`: looks at server, database, fleet and accounts, and says what to mend. Nothing is changed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard import __version__
from spotguard.cli.databases import DatabaseUrl, not_there, told_time
from spotguard.cli.findings import show_findings
from spotguard.cli.output import Failed, Json, print_json
from spotguard.domain.errors import WITHOUT_CREDENTIALS
from spotguard.domain.tags import ADOPTED_TAG, AGENT_TAG, CLIENT_TAG, MANAGED_TAG

if TYPE_CHECKING:
    from spotguard.planning.checkup.facts import (
        AccountFacts,
        DatabaseFacts,
        Facts,
        Fleet,
        Owned,
        PublicUrl,
        Space,
    )
    from spotguard.planning.eligibility.facts import Instance
    from spotguard.planning.findings import Unseen
    from spotguard.store.accounts import CloudAccount
    from spotguard.store.database import Database

_USUAL_TYPE = "m5.large"  # of the class that most types belong to


def doctor(
    *,
    without_aws: Annotated[bool, typer.Option("--without-aws", help="Ask AWS nothing.")] = False,
    endpoint_url: Annotated[str | None, typer.Option(help="Another endpoint than AWS's own.")] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Check database, clocks, coordinators, agents, standbys, and each client's account: permissions, quotas, roles.

    Each finding is ok, warning, error or unknown, with what to do. Exit code 1 when there is an error.
    """
    from spotguard.planning.checkup.report import LEVEL, checkup

    findings = checkup(_look(database_url, endpoint_url, without_aws=without_aws))
    levels = {finding.name: LEVEL[finding.grade] for finding in findings}
    counts = Counter(levels.values())
    if json:
        told = [{**vars(one), "grade": levels[one.name]} for one in findings]
        print_json({"ok": not counts["error"], "counts": dict(counts), "findings": told})
    else:
        show_findings(findings, LEVEL)
    if counts["error"]:
        broken = [name for name, level in levels.items() if level == "error"]
        raise Failed(f"something is broken: {', '.join(broken)}")


def _look(url: str | None, endpoint_url: str | None, *, without_aws: bool) -> Facts:
    """A database that does not answer is a finding; one that cannot be meant is a usage error."""
    from sqlalchemy.exc import SQLAlchemyError

    from spotguard.config import database_file, load_settings, prepare_database_folder
    from spotguard.planning.checkup.facts import Facts
    from spotguard.planning.findings import Unseen
    from spotguard.store.database import Database

    settings = load_settings(database_url=url)
    public_url = _public(settings.public_url)
    file = database_file(settings.database_url)
    if file is not None and not file.exists():  # opening it would make one
        nothing = Unseen(not_there(file))
        return Facts(__version__, public_url, nothing, nothing, nothing)
    prepare_database_folder(settings.database_url)
    database = Database.open(settings.database_url)
    itself: DatabaseFacts | Unseen
    try:
        itself, fleet = _of_database(database)
        public_url = public_url or _told(database, itself)
        accounts = Unseen("--without-aws") if without_aws else _accounts(database, itself, endpoint_url)
    except SQLAlchemyError as error:
        itself = fleet = accounts = Unseen(" ".join(str(getattr(error, "orig", error)).split()))
    finally:
        database.dispose()
    return Facts(__version__, public_url, itself, fleet, accounts)


def _told(database: Database, itself: DatabaseFacts) -> PublicUrl | None:
    """The address that a server on this database has given itself; this shell need not know its settings."""
    from spotguard.store import launch_orders

    if itself.schema_differences:
        return None
    return _public(database.read(launch_orders.public_url_of))


def _public(url: str | None) -> PublicUrl | None:
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    from spotguard.planning.checkup.facts import PublicUrl

    if url is None:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:  # a name
        loopback = host == "localhost"
    return PublicUrl(url, loopback, parts.scheme == "https")


def _of_database(database: Database) -> tuple[DatabaseFacts, Fleet | Unseen]:
    from spotguard.planning.findings import Unseen
    from spotguard.store import checkup

    itself = database.read(lambda tx: checkup.of_database(tx, datetime.now(UTC)))
    itself = replace(itself, space=_space(database) or itself.space)
    if itself.schema_differences:
        return itself, Unseen("the database does not have the newest schema")
    now = told_time(database, datetime.now(UTC))
    return itself, database.read(lambda tx: checkup.of_fleet(tx, now))


def _space(database: Database) -> Space | None:
    """Of the embedded database's disk."""
    from spotguard.planning.checkup.facts import Space

    url = database.engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path = Path(url.database)
    return Space(path.stat().st_size, shutil.disk_usage(path.parent).free)


def _accounts(
    database: Database, itself: DatabaseFacts, endpoint_url: str | None
) -> tuple[AccountFacts, ...] | Unseen:
    from spotguard.planning.findings import Unseen
    from spotguard.store import checkup
    from spotguard.store.accounts import all_accounts
    from spotguard.store.launch_orders import installation_of

    if itself.schema_differences:
        return Unseen("the database does not have the newest schema")
    known, rows = database.read(all_accounts), database.read(checkup.clients_of_accounts)
    name = database.read(installation_of).name
    return tuple(_account(database, row, known[row.id], name, endpoint_url) for row in rows)


def _account(
    database: Database, client: Any, told: CloudAccount, installation: str, endpoint_url: str | None
) -> AccountFacts:
    from spotguard.cloud.aws.account_view import AwsAccountView
    from spotguard.cloud.aws.connection import Account
    from spotguard.domain.agents import Executor
    from spotguard.planning.checkup.facts import AccountFacts
    from spotguard.planning.findings import Unseen
    from spotguard.store import checkup

    executor = Executor(client.executor)
    external = told.external_id if told.role_arn else None
    tags = {MANAGED_TAG: installation, CLIENT_TAG: client.id}
    serving = database.read(lambda tx: checkup.serving_instances(tx, client.id))
    if serving:
        tags[AGENT_TAG] = serving[0][0]
    view = AwsAccountView(Account(told.region, endpoint_url, told.role_arn, external), tags)
    seen = [(agent_id, view.instance(instance_id)) for agent_id, instance_id in serving]
    first = seen[0][1] if seen else None
    identity = view.identity()
    awss, here = view.clock(), datetime.now(UTC)
    types = database.read(lambda tx: checkup.types_in_use(tx, client.id)) or (_USUAL_TYPE,)
    return AccountFacts(
        client=client.name,
        executor=executor,
        identity=identity,
        ahead_seconds=awss if isinstance(awss, Unseen) else (awss - here).total_seconds(),
        spot_role=view.spot_role(),
        permissions=first if isinstance(first, Unseen) else view.permissions(first, executor),
        quotas=tuple(quota for kind in _one_of_each_class(types) for quota in view.quotas(kind)),
        owned=tuple(_owned(agent_id, one) for agent_id, one in seen if not _is_ours(one)),
        has_role=told.role_arn is not None,
        has_credentials=not (
            isinstance(identity, Unseen) and identity.because.startswith(WITHOUT_CREDENTIALS)
        ),
    )


def _is_ours(instance: Instance | Unseen) -> bool:
    from spotguard.planning.findings import Unseen

    return not isinstance(instance, Unseen) and MANAGED_TAG in instance.tags


def _owned(agent_id: str, instance: Instance | Unseen) -> Owned | Unseen:
    from spotguard.planning.checkup.facts import Owned
    from spotguard.planning.findings import Unseen

    if isinstance(instance, Unseen):
        return instance
    if isinstance(instance.volumes, Unseen):
        return instance.volumes
    resources = (instance.instance_id, *(volume.volume_id for volume in instance.volumes))
    return Owned(agent_id, resources, instance.tags.get(ADOPTED_TAG) == agent_id)


def _one_of_each_class(types: Sequence[str]) -> Iterator[str]:
    from spotguard.market.instance_types import quota_class

    yield from {quota_class(kind): kind for kind in types}.values()
