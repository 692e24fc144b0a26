"""Every page, cell by cell: what the screen shows, what the API answers, and what the database holds are the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.clock import rfc3339
from spotguard.domain.money import usd_text
from spotguard.store.tables import (
    agent_events,
    agent_tokens,
    agents,
    clients,
    commands,
    decisions,
    instances,
    ledger_entries,
    ondemand_prices,
    probes,
    replica_instances,
    spot_interruption_events,
    spot_price_snapshots,
    switch_steps,
    switches,
)
from tests.e2e.reading import (
    facts,
    require_percent,
    require_text,
    require_time,
    require_usd,
    table,
)
from tests.e2e.stories import Told

Trace = Callable[[Told], None]
SEEN: dict[bool | None, tuple[str, ...]] = {
    True: ("capacity",),
    False: ("no capacity",),
    None: ("unknown", "not yet known"),
}
PERCENT_GRAIN = 0.005 + 1e-9  # the API rounds to two places


def rows(told: Told, query: sa.Select[Any]) -> list[Any]:
    return list(told.stage.world.db.read(lambda tx: tx.execute(query).all()))


def place(mode: str | None, pool: str | None) -> str:
    return "on demand" if mode == "ondemand" else pool or "unknown"


def moment(at: Any) -> str | None:
    return None if at is None else rfc3339(at)


def money(usd: Any) -> str | None:
    return None if usd is None else usd_text(usd)


def region(told: Told, name: str) -> Any:
    found = told.page.get_by_role("region", name=re.compile(f"^{re.escape(name)}$"))
    found.first.wait_for()
    return found.first


def the_agents_page(told: Told) -> None:
    agent_id = told.agent(1)["id"]
    told.me.open(f"/agents/{agent_id}")
    state = facts(region(told, "State"))
    api = told.me.api(f"/agents/{agent_id}")
    (row,) = rows(told, sa.select(agents).where(agents.c.id == agent_id))
    (machine,) = rows(told, sa.select(instances).where(instances.c.id == row.instance_id))
    require_text(state["Runs in"], place(api["currentMode"], api["currentPoolId"]))
    assert (row.current_mode, row.current_pool_id) == (api["currentMode"], api["currentPoolId"])
    require_usd(state["Price an hour"], api["priceUsd"])
    require_usd(state["On demand an hour"], api["onDemandUsd"])
    require_percent(state["Saving"], api["savingPercent"])
    require_text(state["Instance"], api["instanceId"])
    assert api["instanceId"] == row.instance_id
    require_text(state["Epoch"], row.epoch)
    require_time(state["Last heartbeat"], api["lastHeartbeatAt"], "never")
    assert api["lastHeartbeatAt"] == moment(machine.last_heartbeat_at)
    price, on_demand = _price_of(told, row), _ondemand_of(told, row)
    assert (api["priceUsd"], api["onDemandUsd"]) == (money(price), money(on_demand))
    assert abs(api["savingPercent"] - float(100 * (1 - price / on_demand))) <= PERCENT_GRAIN
    _its_pools(told, api["instanceId"], on_demand)
    _its_replicas(told, agent_id)
    _its_history(told, agent_id)


def _price_of(told: Told, agent: Any) -> Decimal:
    """What the server fetched itself is newest here: its coordinator never stops."""
    if agent.current_mode == "ondemand":
        return _ondemand_of(told, agent)
    return Decimal(_newest_price(told, agent.current_pool_id).price)


def _ondemand_of(told: Told, agent: Any) -> Decimal:
    kind = ondemand_prices.c
    query = sa.select(kind.price).where(
        kind.instance_type == agent.instance_type, kind.region == agent.region
    )
    return Decimal(rows(told, query)[0].price)


def _newest_price(told: Told, pool_id: str) -> Any:
    snapshot = spot_price_snapshots.c
    query = sa.select(snapshot.price, snapshot.captured_at).where(
        snapshot.pool_id == pool_id, snapshot.client_id.is_(None)
    )
    return rows(told, query.order_by(snapshot.captured_at.desc()).limit(1))[0]


def _its_pools(told: Told, instance_id: str, on_demand: Decimal) -> None:
    api = told.me.api(f"/instances/{instance_id}/pricing")
    assert api["onDemand"] == money(on_demand)
    shown = table(told.page, "Prices of all pools", len(api["pools"]) + 1)  # on demand on top
    require_usd(shown[0]["$/h"], api["onDemand"])
    known = {pool["name"]: pool for pool in api["pools"]}
    for cells in shown[1:]:
        name = next(one for one in known if cells["Where"].text.startswith(one))
        pool = known.pop(name)
        require_usd(cells["$/h"], pool["price"])
        require_percent(cells["Saving"], pool["savingPercent"])
        require_percent(cells["Risk in 6 h"], pool["risk"])
        assert cells["Would SpotGuard go there?"].text.endswith(f": {pool['because']}"), (cells, pool)
        assert pool["price"] == money(_newest_price(told, pool["id"]).price), pool
    assert not known


def _its_replicas(told: Told, agent_id: object) -> None:
    api = told.me.api(f"/agents/{agent_id}/replicas")["items"]
    stored = {
        row.id: row
        for row in rows(told, sa.select(replica_instances).where(replica_instances.c.agent_id == agent_id))
    }
    assert len(api) == len(stored)
    shown = table(told.page, "Replicas", len(api))
    for cells, one in zip(shown, api, strict=True):
        row = stored[one["id"]]
        require_text(cells["Instance"], one["instanceId"] or "not named yet")
        assert cells["State transfer"].text.startswith(f"{one['stateTransferProgress']:g} %")
        require_usd(cells["$/h"], one["hourlyCost"])
        require_time(cells["Created"], one["createdAt"])
        assert (one["instanceId"], one["status"]) == (row.instance_id, row.status)
        assert (one["createdAt"], one["hourlyCost"]) == (moment(row.created_at), money(row.hourly_cost))


def _its_history(told: Told, agent_id: object) -> None:
    decided = rows(
        told,
        sa.select(decisions)
        .where(decisions.c.agent_id == agent_id)
        .order_by(decisions.c.decided_at.desc(), decisions.c.id.desc())
        .limit(20),
    )
    shown = table(told.page, "Decisions", len(decided))
    for cells, row in zip(shown, decided, strict=True):
        require_time(cells["When"], moment(row.decided_at))
        require_text(cells["Because"], " ".join(row.because.split()))
    happened = rows(
        told,
        sa.select(agent_events)
        .where(agent_events.c.agent_id == agent_id)
        .order_by(agent_events.c.id.desc())
        .limit(20),
    )
    shown = table(told.page, "Events", len(happened))
    assert [cells["What"].text for cells in shown] == [" ".join(row.message.split()) for row in happened]
    for cells, row in zip(shown, happened, strict=True):
        require_time(cells["When"], moment(row.at))


def the_switches_page(told: Told) -> None:
    told.me.open("/switches")
    region(told, "Switches").wait_for()
    api = told.me.api("/switches?limit=100")["items"]
    stored = {row.id: row for row in rows(told, sa.select(switches))}
    assert api
    assert len(api) == len(stored)
    shown = table(told.page, "Switches", len(api))
    for cells, one in zip(shown, api, strict=True):
        row = stored[one["id"]]
        require_time(cells["When"], one["initiatedAt"])
        require_text(cells["From"], place(row.old_mode, row.old_pool_id))
        require_text(cells["To"], place(row.new_mode, row.new_pool_id))
        require_usd(cells["$/h saved"], one["savingsImpact"])
        assert one["savingsImpact"] == money(row.savings_impact)
        assert (one["initiatedAt"], one["completedAt"]) == (
            moment(row.initiated_at),
            moment(row.completed_at),
        )
        require_text(cells["State"], row.status)
    signals = rows(told, sa.select(spot_interruption_events))
    table(told.page, "Signals of AWS", len(signals))


def the_page_of_one_switch(told: Told) -> None:
    one = told.me.api("/switches?limit=1")["items"][0]
    told.me.open(f"/switches/{one['id']}")
    shown = facts(region(told, "The move"))
    (row,) = rows(told, sa.select(switches).where(switches.c.id == one["id"]))
    require_time(shown["Began"], moment(row.initiated_at))
    require_time(shown["Ended"], moment(row.completed_at), "not yet")
    require_text(shown["Old instance"], row.old_instance_id or "unknown")
    require_text(shown["New instance"], row.new_instance_id or "not named yet")
    for name, stored in (
        ("Old price an hour", row.on_demand_price if row.old_mode == "ondemand" else row.old_spot_price),
        ("New price an hour", row.on_demand_price if row.new_mode == "ondemand" else row.new_spot_price),
        ("On demand an hour", row.on_demand_price),
        ("Saved an hour", row.savings_impact),
    ):
        require_usd(shown[name], money(stored))
    steps = rows(told, sa.select(switch_steps.c.at).where(switch_steps.c.switch_id == one["id"]))
    times = told.page.get_by_label("Steps").locator("time").evaluate_all("all => all.map((t) => t.dateTime)")
    assert set(times) >= {moment(step.at) for step in steps}
    assert [step["at"] for step in one["steps"]] == sorted(moment(step.at) or "" for step in steps)


def the_savings_page(told: Told) -> None:
    told.me.open("/savings")
    region(told, "All of it")
    api = told.me.api("/savings?group=day")
    shown = table(told.page, "Savings by day (UTC)", len(api["groups"]))
    for cells, group in zip(shown, api["groups"], strict=True):
        require_text(cells["Day"], group["label"] or group["key"])
        for head, name in (
            ("On demand", "onDemandUsd"),
            ("Compute", "computeUsd"),
            ("Replicas", "replicaUsd"),
            ("Double running", "overlapUsd"),
            ("Probes", "probeUsd"),
            ("Disks", "storageUsd"),
            ("Waived by AWS", "waivedUsd"),
            ("Saved", "savedUsd"),
        ):
            require_usd(cells[head], group[name], places=2)
        require_percent(cells["Saved, %"], group["savedPercent"])
    entry = ledger_entries.c
    by_kind = rows(told, sa.select(entry.kind, sa.func.sum(entry.usd).label("usd")).group_by(entry.kind))
    stored = {row.kind: Decimal(row.usd) for row in by_kind}
    for kind, name in (("compute", "computeUsd"), ("ondemand", "onDemandUsd"), ("storage", "storageUsd")):
        summed = sum(Decimal(group[name]) for group in api["groups"])
        assert abs(summed - stored.get(kind, Decimal(0))) < Decimal("0.00001"), (kind, summed, stored)


def the_pools_page(told: Told) -> None:
    told.me.open("/pools")
    region(told, "Spot pools")
    api = told.me.api("/pools?limit=200")["items"]
    shown = table(told.page, "Spot pools", len(api))
    assert [cells["Pool"].text for cells in shown] == [one["id"] for one in api]
    machine = instances.c
    seen = rows(
        told,
        sa.select(machine.current_pool_id, sa.func.count().label("many"))
        .where(machine.current_mode == "spot", machine.probe_id.is_(None))
        .group_by(machine.current_pool_id),
    )
    launched = {row.current_pool_id: row.many for row in seen}
    for cells, one in zip(shown, api, strict=True):
        require_usd(cells["$/h"], one["price"])
        require_time(cells["Price seen"], one["capturedAt"], "not in the last hour")
        require_text(cells["Launched here"], launched.get(one["id"], 0))
        require_text(cells["Interrupted here"], one["interruptions"])
        newest = _newest_price(told, one["id"])
        assert (one["price"], one["capturedAt"]) == (money(newest.price), moment(newest.captured_at))


def the_health_page(told: Told) -> None:
    told.me.open("/health")
    shown = facts(region(told, "Commands and model"))
    api = told.me.api("/health")
    waiting = rows(
        told,
        sa.select(commands.c.status, sa.func.count().label("many"))
        .where(commands.c.status.in_(["pending", "leased"]))
        .group_by(commands.c.status),
    )
    stored = {row.status: row.many for row in waiting}
    assert (api["queue"]["pending"], api["queue"]["leased"]) == (
        stored.get("pending", 0),
        stored.get("leased", 0),
    )
    require_text(shown["Commands waiting"], api["queue"]["pending"])
    require_text(shown["Commands in hand"], api["queue"]["leased"])
    require_text(shown["Policy that decides"], api["model"]["policy"])
    require_text(shown["Risk model"], api["model"]["risk"])
    count = len(api["invariants"]["checked"])
    assert f"all {count} hold" in region(told, "Invariants").inner_text()
    coordinators = table(told.page, "Coordinators", len(api["coordinators"]))
    assert [cells["Name"].text for cells in coordinators] == [one["name"] for one in api["coordinators"]]
    for cells, one in zip(coordinators, api["coordinators"], strict=True):
        require_time(cells["Until"], one["until"])
    unserved = table(told.page, "Agents that nobody serves", len(api["agentsUnserved"]))
    assert [(cells["Agent"].text, cells["What it waits for"].text) for cells in unserved] == [
        (one["logicalAgentId"], one["why"]) for one in api["agentsUnserved"]
    ]
    assert api["agentsBehindCount"] == len(api["agentsBehind"])
    behind = table(told.page, "Agents behind", len(api["agentsBehind"]))
    assert [cells["Agent"].text for cells in behind] == [one["logicalAgentId"] for one in api["agentsBehind"]]


def the_looks_of_the_health_page(told: Told) -> None:
    """The budget, what of it is spent, and what it bought."""
    told.me.open("/health")
    api = told.me.api("/probes?limit=10")
    shown = table(told.page, "Newest probes", len(api["items"]))
    budget = facts(region(told, "Capacity probes"))
    (mine,) = rows(told, sa.select(clients.c.probe_usd_per_day))
    assert api["usdPerDay"] == money(mine.probe_usd_per_day)
    require_usd(budget["Budget of a day (UTC)"], api["usdPerDay"])
    require_usd(budget["Spent since midnight UTC"], api["spentUsd"])
    newest = rows(told, sa.select(probes).order_by(probes.c.created_at.desc(), probes.c.id.desc()).limit(10))
    for cells, one, row in zip(shown, api["items"], newest, strict=True):
        require_time(cells["When"], one["createdAt"])
        require_time(cells["Ended"], one["completedAt"], "not yet")
        require_text(cells["Pool"], row.pool_id)
        require_text(cells["Bought because"], row.because)
        require_usd(cells["Cost"], one["usd"], places=5)
        require_usd(cells["$/h"], one["usdPerHour"])
        assert cells["Answer"].text.endswith(row.answer or "not yet known"), cells
        assert cells["Answer"].text.startswith(SEEN[row.up]), cells
        assert (one["usd"], one["usdPerHour"]) == (money(row.usd), money(row.usd_per_hour))
        assert (one["createdAt"], one["completedAt"]) == (moment(row.created_at), moment(row.completed_at))


def the_tokens_page(told: Told) -> None:
    told.me.open("/tokens")
    region(told, "Agents' tokens")
    stored = rows(
        told,
        sa.select(agent_tokens).order_by(agent_tokens.c.created_at.desc(), agent_tokens.c.instance_id),
    )
    ended = {one.id: one.ended_at or one.terminated_at for one in rows(told, sa.select(instances))}
    shown = table(told.page, "Agents' tokens", len(stored))
    for cells, row in zip(shown, stored, strict=True):
        require_text(cells["Instance"], row.instance_id)
        require_time(cells["Given"], moment(row.created_at))
        require_time(cells["Instance ended"], moment(ended[row.instance_id]), "no")
        require_time(cells["Revoked"], moment(row.revoked_at), "no")
    api = told.me.api("/tokens")
    browsers = table(told.page, "Signed-in browsers", len(api["browsers"]))
    for cells, one in zip(browsers, api["browsers"], strict=True):
        require_time(cells["Until"], one["expiresAt"])


def the_backtest_page(told: Told) -> None:
    agent_id = told.agent(1)["id"]
    with told.page.expect_response(lambda one: one.url.endswith("/backtest?days=7")) as answer:
        told.me.open(f"/backtest?agent={agent_id}&days=7")
    api = answer.value.json()
    region(told, "What this does not know")
    shown = table(told.page, "The bill under each policy", len(api["policies"]))
    for cells, one in zip(shown, api["policies"], strict=True):
        require_usd(cells["Bill"], one["usd"], places=2)
        require_percent(cells["Saved"], one["savedPercent"])
        for at, edge in enumerate(one["savedPercentInterval"]):
            require_percent(cells["Between"], edge, at)
        require_text(cells["Moves"], one["moves"])
        require_text(cells["Returns to spot"], one["returns"])
    whole = facts(region(told, "The bill under each policy"))
    require_usd(whole["On demand, all of it"], api["onDemandUsd"], places=2)
    require_time(whole["From"], api["since"])
    (agent,) = rows(told, sa.select(agents).where(agents.c.id == agent_id))
    hourly = _ondemand_of(told, agent)
    assert api["onDemandUsdPerHour"] == money(hourly)
    assert abs(Decimal(api["onDemandUsd"]) - hourly * 24 * 7) < Decimal("0.00001")


TRACES: tuple[Trace, ...] = (
    the_agents_page,
    the_switches_page,
    the_page_of_one_switch,
    the_savings_page,
    the_pools_page,
    the_health_page,
    the_looks_of_the_health_page,
    the_tokens_page,
    the_backtest_page,
)


def every_page_shows_what_the_api_and_the_database_say(told: Told) -> None:
    with told.stage.standing_still():
        for trace in TRACES:
            trace(told)
