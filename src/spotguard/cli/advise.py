"""`spotguard advise`: what SpotGuard would do and save, before anything is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spotguard.cli import advise_options as o
from spotguard.cli.advise_files import Files, Sources, read
from spotguard.cli.backtest import Pools
from spotguard.cli.databases import DatabaseUrl
from spotguard.cli.output import NO_CREDENTIALS, Failed, Json, options_mended, print_json, say_plainly
from spotguard.cli.progress import progress_bar
from spotguard.domain.errors import WITHOUT_CREDENTIALS, BadSetting

if TYPE_CHECKING:
    from spotguard.advice.account import AccountAdvice, Looked
    from spotguard.advice.advise import Advice
    from spotguard.advice.market import Market
    from spotguard.advice.wish import Disks, Wish


def advise(
    *,
    instance_type: o.InstanceType = None,
    region: o.Regions = None,
    account: o.Account = False,
    prices: o.Prices = None,
    ondemand: o.Ondemand = None,
    advisor: o.Advisor = None,
    availability: o.Availability = None,
    types: o.Types = None,
    pools: o.PoolsOf = Pools.FLEX,
    older_generations: o.OlderGenerations = False,
    profile: o.Profile = o.ProfileName.STATELESS,
    minute_value_usd: o.MinuteValue = None,
    standby: o.Standby = o.StandbyChoice.AUTO,
    terminate_wait: o.TerminateWait = 1800.0,
    savings_plan: o.SavingsPlan = "0.28",
    volume_gb: o.VolumeGb = 0,
    volume_usd_per_gb_month: o.VolumeRate = None,
    snapshot_usd_per_gb_month: o.SnapshotRate = None,
    html: o.HtmlFile = None,
    seed: o.Seed = 1,
    endpoint_url: o.EndpointUrl = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """What SpotGuard would do for one workload and what it would save, before anything is installed; or for an account.

    Prices of the past are replayed; nothing is changed anywhere. --account needs the policy that `spotguard iam policy
    read` prints: DescribeInstances and DescribeInstanceTypes.
    """
    several = tuple(prices or ()), tuple(availability or ())
    flexible = pools is Pools.FLEX
    files = Files(several[0], ondemand, several[1], advisor, types, flexible, older_generations, database_url)
    rates = volume_usd_per_gb_month, snapshot_usd_per_gb_month
    wish = _wish(
        profile, minute_value_usd, standby, savings_plan, terminate_wait, seed, _disks(volume_gb, *rates)
    )
    asked = _Asked(files, wish, datetime.now(UTC))
    if account:
        if instance_type is not None:
            raise BadSetting("--account weighs every instance: leave --instance-type out")
        _tell_account(_of_account(asked, region or (), endpoint_url), html, as_json=as_json)
    else:
        if instance_type is None or region is None or len(region) != 1:
            raise BadSetting("name one --instance-type and one --region, or --account")
        _tell(_of_workload(asked, instance_type, region[0]), html, as_json=as_json)


def _wish(
    profile: o.ProfileName,
    minute_value_usd: str | None,
    standby: o.StandbyChoice,
    savings_plan: str,
    terminate_wait: float,
    seed: int,
    disks: Disks,
) -> Wish:
    from spotguard.advice.wish import Profile, StandbyWish, Wish
    from spotguard.backtest.physics import Physics

    discount = _number("--savings-plan", savings_plan)
    if discount >= 1:
        raise BadSetting("--savings-plan is the share that is taken off, as 0.28")
    return Wish(
        profile=Profile(profile),
        minute_usd=_maybe("--minute-value-usd", minute_value_usd),
        standby=StandbyWish(standby),
        savings_plan=discount,
        disks=disks,
        physics=Physics(terminate_wait=terminate_wait),
        seed=seed,
    )


def _disks(gib: int, volume: str | None, snapshot: str | None) -> Disks:
    from spotguard.advice.wish import Disks

    return Disks(
        gib,
        _maybe("--volume-usd-per-gb-month", volume),
        _maybe("--snapshot-usd-per-gb-month", snapshot),
    )


@dataclass(frozen=True)
class _Asked:
    files: Files
    wish: Wish
    now: datetime


def _of_workload(asked: _Asked, instance_type: str, region: str) -> Advice:
    from spotguard.advice.advise import advise as advised
    from spotguard.advice.advise import steps

    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        sources = read(asked.files, [region], asked.now)
        with options_mended():
            market, offered_by = _market(sources, region, instance_type)
        progress.update(task, description="replaying", total=steps(market))
        return advised(
            market, asked.wish, asked.now, offered_by=offered_by, told=lambda: progress.advance(task)
        )


def _market(sources: Sources, region: str, instance_type: str) -> tuple[Market, Market | None]:
    """What is replayed, and where present prices are told of when that is another file."""
    from spotguard.advice.market import of_availability, of_prices

    offered = None
    if sources.history is not None:
        offered = of_prices(
            sources.history,
            sources.ondemand,
            region,
            instance_type,
            sources.facts,
            sources.advisor,
            older=sources.older,
        )
    if sources.availability is None:
        if offered is None:
            raise BadSetting("name price history by --prices, or availability by --availability")
        return offered, None
    found = of_availability(
        sources.availability, sources.ondemand, region, instance_type, sources.availability_source
    )
    return found, offered


def _of_account(asked: _Asked, regions: Sequence[str], endpoint_url: str | None) -> AccountAdvice:
    from spotguard.advice.account import advise_account
    from spotguard.planning.findings import Unseen

    if asked.files.availability:
        raise BadSetting("--availability tells of one type: weigh that one by --instance-type")
    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        sources = read(asked.files, regions, asked.now)
        history = sources.history
        places = regions or sorted({pool.region for pool in history.pools()} if history else ())
        looked = [_look(place, endpoint_url) for place in dict.fromkeys(places)]
        count = sum(len(one.instances) for one in looked if not isinstance(one.instances, Unseen))
        progress.update(task, description="weighing", total=count)

        def market(region: str, instance_type: str) -> Market:
            return _market(sources, region, instance_type)[0]

        return advise_account(looked, market, asked.wish, asked.now, lambda: progress.advance(task))


def _look(region: str, endpoint_url: str | None) -> Looked:
    from spotguard.advice.account import Looked
    from spotguard.cloud.aws.account_view import AwsAccountView
    from spotguard.cloud.aws.connection import Account
    from spotguard.planning.findings import Unseen

    view = AwsAccountView(Account(region, endpoint_url), {})
    instances = view.running()
    if isinstance(instances, Unseen):
        return Looked(region, instances, instances)
    told = view.types(sorted({one.instance_type for one in instances})) if instances else ()
    types = told if isinstance(told, Unseen) else {facts.instance_type: facts for facts in told}
    return Looked(region, instances, types)


def _tell(advice: Advice, html: Path | None, *, as_json: bool) -> None:
    from spotguard.advice.html import html as page
    from spotguard.advice.text import lines
    from spotguard.advice.told import told

    _out(lambda: told(advice), lambda: lines(advice), lambda: page(advice), html, as_json=as_json)


def _tell_account(found: AccountAdvice, html: Path | None, *, as_json: bool) -> None:
    from spotguard.advice.html_account import html_account
    from spotguard.advice.told_account import lines, told_account

    if found.unseen and len(found.unseen) == len(found.regions):
        raise Failed(
            _unseen(found)
        )  # no report: its noughts would be of an account that nobody has looked at
    _out(
        lambda: told_account(found), lambda: lines(found), lambda: html_account(found), html, as_json=as_json
    )
    if found.unseen:
        raise Failed(_unseen(found))


def _unseen(found: AccountAdvice) -> str:
    if all(because.startswith(WITHOUT_CREDENTIALS) for _, because in found.unseen):
        return NO_CREDENTIALS
    return "; ".join(f"{region} could not be looked at: {because}" for region, because in found.unseen)


def _out(
    told: Callable[[], dict[str, Any]],
    lines: Callable[[], Iterable[str]],
    page: Callable[[], str],
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    if html is not None:
        html.write_text(page(), encoding="utf-8")
    if as_json:
        print_json(told())
        return
    for line in lines():
        say_plainly("".join(letter if letter.isprintable() else "?" for letter in line))
    if html is not None:
        say_plainly(f"report: {html}")


def _maybe(option: str, text: str | None) -> Decimal | None:
    return None if text is None else _number(option, text)


def _number(option: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and 0 <= value < 1_000_000):  # noqa: PLR2004 - beyond what anything costs
        raise BadSetting(f"{option}: a number from 0 on is wanted, not {text[:40]!r}")
    return value
