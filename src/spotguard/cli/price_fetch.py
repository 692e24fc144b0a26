"""`spotguard prices fetch`: asks EC2 for its price history and the price list for on-demand prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.cli.databases import DatabaseUrl, opened
from spotguard.cli.output import Failed, Json, print_json, say, warn

if TYPE_CHECKING:
    from spotguard.cloud.aws.cloud import AwsCloud
    from spotguard.store.database import Database

MOST_DAYS = 90  # EC2 keeps no more
_TYPES_AT_ONCE = 25


def fetch(
    *,
    region: Annotated[str, typer.Option(help="Such as ap-south-1.")],
    days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, help="How far back; EC2 keeps 90 days.")
    ] = MOST_DAYS,
    instance_type: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this type; may be repeated. Default: all of the region."),
    ] = None,
    product: Annotated[
        list[str] | None, typer.Option(help="Product description; may be repeated. Default: Linux/UNIX.")
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Another endpoint than AWS's own.")] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Fetch spot price history from EC2 with this process's AWS credentials, and on-demand prices from the price list.

    It replaces what was known of the same pools and time. Fetched again, nothing changes.
    """
    from spotguard.cloud.aws.cloud import AwsCloud
    from spotguard.cloud.aws.connection import Account
    from spotguard.domain.errors import CloudError
    from spotguard.domain.pools import LINUX, canonical_product
    from spotguard.store import ondemand

    now = datetime.now(UTC)
    cloud = AwsCloud(Account(region, endpoint_url))
    products = [canonical_product(name) for name in product or [LINUX]]
    with opened(database_url) as database:
        types = instance_type or cloud.offered_types()
        told = _history(database, cloud, types, now - timedelta(days=days), products)
        try:
            fixed = cloud.ondemand_prices()
            database.write(lambda tx: ondemand.record(tx, now, None, region, fixed))
            told["ondemand_prices"] = len(fixed)
        except CloudError as error:  # the history is worth having without it
            warn(f"no on-demand prices: {error}")
    if json:
        print_json({"region": region, "days": days, **told})
    else:
        say(
            f"{told['changes']} changes of {told['pools']} pools in {region}; "
            f"{told['ondemand_prices']} on-demand prices."
        )
    if not told["changes"]:
        raise Failed(f"EC2 told no price of these types in {region}")


def _history(
    database: Database, cloud: AwsCloud, types: Sequence[str], since: datetime, products: Sequence[str]
) -> dict[str, int]:
    """Some types at a time: a whole region is millions of rows, and others write in between."""
    from spotguard.store import prices

    pools: set[str] = set()
    count = 0
    for batch in _batches(types):
        changes = cloud.spot_prices_of(since, batch, products)
        if changes:
            database.write(partial(prices.record_changes, now=datetime.now(UTC), changes=changes))
        pools |= {change.pool.id for change in changes}
        count += len(changes)
    return {"changes": count, "pools": len(pools), "ondemand_prices": 0}


def _batches(types: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(sorted(set(types)))
    while batch := list(islice(rest, _TYPES_AT_ONCE)):
        yield batch
