"""`spotguard verify-aws`: checks in a real account what the simulated EC2 promises. It costs money."""

from __future__ import annotations

import secrets
import threading
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.cli.output import Failed, Json, print_json, say, warn
from spotguard.domain.errors import BadSetting, InvalidInput
from spotguard.domain.instances import Mode

if TYPE_CHECKING:
    from spotguard.cloud.promises.checking import Result
    from spotguard.cloud.promises.stage import Stage
    from spotguard.ports.cloud import Cloud


def verify_aws(
    *,
    budget: Annotated[
        str, typer.Option(metavar="USD", help="The most that it may cost; refused if it may be more.")
    ],
    region: Annotated[str, typer.Option(help="Where, such as ap-south-1.")],
    image: Annotated[str, typer.Option(metavar="AMI", help="An image for the type, such as Amazon Linux.")],
    instance_type: Annotated[
        str, typer.Option("--type", help="What is launched, some dozens of times.")
    ] = "t3.micro",
    zones: Annotated[str, typer.Option(help="Letters of two zones of the region.")] = "ab",
    on_demand: Annotated[bool, typer.Option("--on-demand", help="Launch on demand instead of spot.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only promises with this word; may be repeated.")
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Another EC2 endpoint than AWS's own.")] = None,
    json: Json = False,
) -> None:
    """Check every promise of the Cloud port in the account of this process's credentials, and clear up.

    Everything is tagged spotguard:verify, lives for minutes and is ended again.
    """
    from spotguard.cloud.aws.cloud import AwsCloud
    from spotguard.cloud.aws.connection import Account
    from spotguard.cloud.promises import checking

    if len(zones) != 2:  # noqa: PLR2004 - home and elsewhere
        raise BadSetting(f"two zones are needed, such as ab: {zones!r}")
    allowed = _budget(budget)
    cloud = AwsCloud(Account(region, endpoint_url))
    caller = cloud.caller()
    price = cloud.ondemand_prices().get(instance_type)
    if price is None:
        raise InvalidInput(f"the price list has no {instance_type} in {region}")
    most = checking.most_it_may_cost(price, cloud.storage_rates())
    checking.require_budget(most, allowed)
    say(f"account {caller.account_id}, {region}, {instance_type}: at most {most:.2f} USD")
    run = f"verify-{secrets.token_hex(4)}"

    def stage(name: str) -> Stage:
        mode = Mode.ONDEMAND if on_demand else Mode.SPOT
        return _stage(
            cloud,
            f"{region}{zones[0]}",
            f"{region}{zones[1]}",
            instance_type,
            image,
            mode,
            f"{run}-{name[:20]}",
        )

    _tell(checking.check(stage, only or (), _tell_one), json=json)


def _budget(text: str) -> Decimal:
    try:
        usd = Decimal(text)
    except InvalidOperation:
        usd = Decimal(0)
    if not (usd.is_finite() and usd > 0):
        raise BadSetting(f"--budget is a sum of USD above nought, not {text!r}")
    return usd


def _stage(
    cloud: Cloud, home: str, elsewhere: str, instance_type: str, image: str, mode: Mode, run: str
) -> Stage:
    from spotguard.cloud.promises.stage import Stage
    from spotguard.domain.ids import ImageId
    from spotguard.domain.pools import Pool

    return Stage(
        cloud,
        _wait,
        Pool(instance_type, home),
        Pool(instance_type, elsewhere),
        ImageId(image),
        run,
        mode=mode,
        step_seconds=5,
    )


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _tell_one(result: Result) -> None:
    warn(f"{result.outcome.value:10}  {result.promise}{f': {result.because}' if result.because else ''}")
    if result.left is not None:
        warn(f"            LEFT BEHIND {result.left}")


def _tell(results: list[Result], *, json: bool) -> None:
    from spotguard.cloud.promises.checking import Outcome

    counts = {outcome.value: sum(r.outcome is outcome for r in results) for outcome in Outcome}
    left = [result.left for result in results if result.left is not None]
    if json:
        print_json({**counts, "left_behind": left, "results": [vars(result) for result in results]})
    else:
        say(", ".join(f"{count} {name}" for name, count in counts.items()))
    if counts[Outcome.BROKEN.value] or left:
        raise Failed("this account does not keep every promise, or something was left behind")
