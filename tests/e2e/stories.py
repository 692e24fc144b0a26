"""What people do with the dashboard, told in order; each story stands on what the ones before it have done."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from spotguard.store import tenants
from spotguard.store.tables import agents, clients, ledger_entries, replica_instances
from tests.e2e.scene import PATIENCE_MS, Stage, Viewer, Watch, viewer


@dataclass
class Told:
    """What the stories share."""

    stage: Stage
    browser: Browser
    watch: Watch
    me: Viewer

    @property
    def page(self) -> Page:
        return self.me.page

    def agent(self, number: int) -> dict[str, object]:
        items = self.me.api("/agents")["items"]
        return sorted(items, key=lambda one: one["logicalAgentId"])[number]

    def open_agent(self, number: int) -> dict[str, object]:
        agent = self.agent(number)
        self.me.open(f"/agents/{agent['id']}")
        self.page.get_by_role("heading", name="Protection").wait_for()
        return agent


def a_wrong_token_is_refused_with_its_reason_and_a_right_one_opens_the_fleet(told: Told) -> None:
    told.me.open("/")
    field = told.page.get_by_label("The tenant's token", exact=False).first
    field.fill("sgc_wrong")
    told.page.get_by_role("button", name="Sign in").click()
    expect(told.page.get_by_role("alert")).to_contain_text("not valid")
    field.fill(told.stage.token)
    told.page.get_by_role("button", name="Sign in").click()
    rows = told.page.locator(".rows [role=row]")
    expect(rows).to_have_count(len(told.stage.world.servers))
    expect(told.page.get_by_role("status").filter(has_text="live")).to_be_visible()
    health = told.page.get_by_role("columnheader", name="State")
    health.get_by_role("button").focus()
    told.page.keyboard.press("Enter")
    expect(health).to_have_attribute("aria-sort", "ascending")
    told.page.keyboard.press("/")
    expect(told.page.get_by_label("Search")).to_be_focused()
    told.page.get_by_role("grid").focus()
    told.page.keyboard.press("ArrowDown")
    told.page.keyboard.press("Enter")
    told.page.wait_for_url("**/agents/*")


def what_is_looked_for_is_there_again_on_the_way_back(told: Told) -> None:
    name = str(told.agent(1)["logicalAgentId"])
    told.me.open("/")
    told.page.get_by_label("Search").fill(name)
    told.page.get_by_label("Health").select_option("healthy")
    told.page.locator(".rows [role=row]").first.click()
    told.page.wait_for_url("**/agents/*")
    told.page.go_back()
    expect(told.page.get_by_label("Search")).to_have_value(name)
    expect(told.page.get_by_label("Health")).to_have_value("healthy")
    expect(told.page.locator(".rows [role=row]")).to_have_count(1)


def the_fleets_figures_are_those_of_the_api_and_of_the_database(told: Told) -> None:
    with told.stage.standing_still():
        told.me.open("/")
        told.page.locator(".rows [role=row]").first.wait_for()
        items = told.me.api("/agents")["items"]
        rows = {
            row.id: row for row in told.stage.world.db.read(lambda tx: tx.execute(sa.select(agents)).all())
        }
        for one in items:
            row = told.page.locator(f"#agent-{one['id']}")
            exact = row.locator("[data-exact]").evaluate_all("all => all.map(one => one.dataset.exact)")
            known = [one["priceUsd"], one["onDemandUsd"], one["savingPercent"]]
            told_exactly = [Decimal(str(value)) for value in known if value is not None]
            assert told_exactly == [Decimal(value) for value in exact], one["logicalAgentId"]
            place = "on demand" if one["currentMode"] == "ondemand" else one["currentPoolId"]
            expect(row).to_contain_text(place or "unknown")
            stored = rows[one["id"]]
            assert (stored.current_mode, stored.current_pool_id) == (one["currentMode"], one["currentPoolId"])
        priced = [one for one in items if one["priceUsd"] is not None and one["onDemandUsd"] is not None]
        sums = told.page.locator(".totals [data-exact]").evaluate_all(
            "all => all.map(one => one.dataset.exact)"
        )
        assert Decimal(sums[0]) == sum(Decimal(one["priceUsd"]) for one in priced)
        assert Decimal(sums[1]) == sum(Decimal(one["onDemandUsd"]) for one in priced)


def a_manual_replica_is_asked_for_and_watched_until_it_is_ready(told: Told) -> None:
    agent = told.open_agent(0)
    expect(told.page.get_by_test_id("standby-cost")).to_contain_text("beside")
    told.page.get_by_label("Manual replica").click()
    expect(told.page.get_by_label("Manual replica")).to_be_checked()
    expect(told.page.get_by_label("Automatic switching")).not_to_be_checked()
    states = told.page.get_by_role("region", name="Replicas").locator(".tag")
    expect(states.filter(has_text=re.compile("^ready$")).first).to_be_visible(timeout=PATIENCE_MS)

    def stored(tx: sa.Connection) -> object:
        query = sa.select(replica_instances.c.status).where(replica_instances.c.agent_id == agent["id"])
        return tx.scalars(query.order_by(replica_instances.c.created_at.desc())).first()

    assert told.stage.world.db.read(stored) == "ready"


def it_is_promoted_after_its_consequences_were_read(told: Told) -> None:
    before = told.agent(0)["epoch"]
    told.page.get_by_role("button", name="Promote…").first.click()
    dialog = told.page.get_by_role("dialog")
    expect(dialog).to_contain_text("of the state has reached it")
    dialog.get_by_role("button", name="Promote it").click()
    expect(dialog).to_be_hidden()
    epoch = told.page.locator("dt", has_text=re.compile("^Epoch$")).locator("xpath=following-sibling::dd")
    expect(epoch).to_have_text(str(int(str(before)) + 1), timeout=PATIENCE_MS)


def a_switch_is_forced_and_its_timeline_followed_to_the_end(told: Told) -> None:
    agent = told.open_agent(1)
    told.page.get_by_label("Neither").click()
    expect(told.page.get_by_label("Neither")).to_be_checked()
    wait = told.page.get_by_label("Seconds to wait before that")
    wait.fill("0")
    wait.press("Enter")
    button = told.page.get_by_role("button", name=re.compile("^Move to .*…$")).first
    button.press("Enter")
    dialog = told.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Downtime")
    told.page.keyboard.press("Escape")
    expect(button).to_be_focused()
    button.click()
    dialog.get_by_role("button", name="Move it now").click()
    told.page.wait_for_url("**/switches/*")
    told.page.get_by_role("heading", name="Timeline").wait_for()
    expect(told.page.get_by_label("Steps")).to_contain_text("new instance may serve", timeout=PATIENCE_MS)
    expect(told.page.locator("main")).to_contain_text("completed", timeout=2 * PATIENCE_MS)
    told_steps = told.me.api(f"/agents/{agent['id']}/switches")["items"][0]["steps"]
    shown = told.page.get_by_label("Steps").locator("li")
    expect(shown).to_have_count(len(told_steps))
    seconds = (
        told.page.get_by_label("Steps").locator("time").evaluate_all("all => all.map(one => one.dateTime)")
    )
    assert seconds == [step["at"] for step in told_steps]


def a_restart_of_the_server_is_survived_without_a_click(told: Told) -> None:
    told.me.open("/")
    live = told.page.get_by_role("status").filter(has_text=re.compile("^live$"))
    expect(live).to_be_visible()
    told.stage.take_server()
    expect(told.page.get_by_text("stream lost: polling")).to_be_visible()
    told.stage.bring_server()
    expect(live).to_be_visible()
    expect(told.page.locator(".rows [role=row]")).to_have_count(len(told.stage.world.servers))


def savings_are_those_of_the_ledger(told: Told) -> None:
    with told.stage.standing_still():
        told.me.open("/savings")
        whole = told.page.get_by_role("region", name="All of it")
        whole.wait_for()
        shown = whole.locator("dd [data-exact]").evaluate_all("all => all.map(one => one.dataset.exact)")
        api = told.me.api("/savings?group=day")
        names = (
            "onDemandUsd",
            "computeUsd",
            "replicaUsd",
            "overlapUsd",
            "probeUsd",
            "storageUsd",
            "waivedUsd",
            "savedUsd",
        )
        assert shown[:8] == [api[name] for name in names]

        def metered(tx: sa.Connection) -> dict[str, Decimal]:
            kinds = sa.select(ledger_entries.c.kind, sa.func.sum(ledger_entries.c.usd))
            return {row[0]: row[1] for row in tx.execute(kinds.group_by(ledger_entries.c.kind))}

        stored = told.stage.world.db.read(metered)
        for kind, name in (("compute", "computeUsd"), ("replica", "replicaUsd"), ("overlap", "overlapUsd")):
            assert abs(Decimal(stored.get(kind, 0)) - Decimal(api[name])) < Decimal("0.000001"), kind


def switches_are_exported_as_the_api_has_them(told: Told) -> None:
    told.me.open("/switches")
    with told.page.expect_download() as download:
        told.page.get_by_role("link", name="Export as CSV").click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    exported = {row["id"] for row in csv.DictReader(io.StringIO(text))}
    assert exported == {one["id"] for one in told.me.api("/switches?limit=500")["items"]}
    assert exported


def a_refused_change_goes_back_and_says_why(told: Told) -> None:
    told.open_agent(2)
    field = told.page.get_by_label("Allowed zones; empty: all of the region")
    field.fill("eu-west-1a")
    told.page.get_by_role("button", name="Store", exact=True).click()
    expect(told.page.get_by_role("alert")).to_contain_text("this agent's workload runs in")


def a_budget_for_probes_is_set_and_what_it_buys_comes_by_itself(told: Told) -> None:
    told.me.open("/health")
    card = told.page.get_by_role("region", name="Capacity probes")
    looks = told.page.get_by_role("region", name="Newest probes").first
    expect(card.get_by_text("off", exact=True)).to_be_visible()
    expect(looks).to_contain_text("no launch is made only to look")
    field = card.get_by_label("Most USD a day; 0: none")
    field.fill("10000")
    expect(card).to_contain_text("from 0 to 9999.999999; nothing is stored")
    expect(card.get_by_role("button", name="Store")).to_be_disabled()
    field.fill("0.5")
    card.get_by_role("button", name="Store").click()
    expect(card.get_by_text("$0.5000")).to_be_visible()
    assert told.me.api("/probes")["usdPerDay"] == "0.500000"
    over = looks.locator(".tag").filter(has_text=re.compile("^over$"))
    expect(over.first).to_be_visible()
    expect(card.get_by_text("$0.0000")).to_have_count(0)  # of nothing spent


def probes_are_turned_off_by_one_click(told: Told) -> None:
    told.me.open("/health")
    card = told.page.get_by_role("region", name="Capacity probes")
    card.get_by_role("button", name="Turn off").click()
    expect(card.get_by_role("button", name="Turn off")).to_have_count(0)
    expect(card.get_by_label("Most USD a day; 0: none")).to_be_focused()
    assert told.me.api("/probes")["usdPerDay"] == "0.000000"


def an_agent_is_deleted_after_what_it_leaves_was_read(told: Told) -> None:
    with told.stage.standing_still():
        free = (
            one
            for one in told.me.api("/agents")["items"]
            if told.me.api(f"/agents/{one['id']}/controls")["delete"]["allowed"]
        )
        agent = next(free)
        would = told.me.api(f"/agents/{agent['id']}/deletion")
        told.me.open(f"/agents/{agent['id']}")
        told.page.get_by_role("button", name="Delete this agent").click()
        dialog = told.page.get_by_role("dialog")
        for one in would["left"]:
            expect(dialog).to_contain_text(one["resourceId"])
        monthly = dialog.locator("[data-exact]").first
        expect(monthly).to_have_attribute("data-exact", would["usdPerMonth"])
        dialog.get_by_role("button", name="Delete it").click()
        still = told.page.get_by_role("region", name="What still goes on")
        expect(still).to_contain_text(str(agent["instanceId"]))
        expect(told.page.get_by_role("button", name="Delete this agent")).to_have_count(0)
        told.me.open("/")
        expect(told.page.locator(".rows [role=row]")).to_have_count(len(told.stage.world.servers) - 1)


def another_tenant_sees_nothing_of_it(told: Told) -> None:
    world = told.stage.world
    _, token = world.db.write(lambda tx: tenants.create_client(tx, world.clock.now(), "Umbrella"))
    stranger = viewer(told.browser, told.watch)
    stranger.sign_in(token)
    expect(stranger.page.locator("main")).to_contain_text("0 of 0 agents")
    stranger.open(f"/agents/{told.agent(0)['id']}")
    expect(stranger.page.get_by_role("alert")).to_contain_text("no such agent")
    expect(stranger.page).to_have_title("Agent · SpotGuard")
    stranger.context.close()


def a_page_of_one_tenant_goes_once_another_tab_has_signed_in_as_another(told: Told) -> None:
    world = told.stage.world
    _, token = world.db.write(lambda tx: tenants.create_client(tx, world.clock.now(), "Globex"))
    first = viewer(told.browser, told.watch)
    first.sign_in(told.stage.token)
    second = Viewer(first.context, told.watch.page(first.context.new_page()), first.base)
    second.sign_in(token)
    first.page.wait_for_url("**/sign-in")
    expect(second.page.locator(".who")).to_contain_text("Globex")
    first.context.close()


def a_rotated_token_signs_every_browser_out(told: Told) -> None:
    told.me.open("/")
    told.page.locator(".rows [role=row]").first.wait_for()
    world = told.stage.world
    mine = world.db.read(
        lambda tx: tx.scalars(
            sa.select(clients.c.id).where(clients.c.name.not_in(["Umbrella", "Globex"]))
        ).one()
    )
    token = world.db.write(lambda tx: tenants.rotate_token(tx, world.clock.now(), mine))
    told.page.wait_for_url("**/sign-in", timeout=PATIENCE_MS)
    told.stage.token = token
    told.me.sign_in(token)


BEGINNING = (
    a_wrong_token_is_refused_with_its_reason_and_a_right_one_opens_the_fleet,
    what_is_looked_for_is_there_again_on_the_way_back,
    the_fleets_figures_are_those_of_the_api_and_of_the_database,
    a_manual_replica_is_asked_for_and_watched_until_it_is_ready,
    it_is_promoted_after_its_consequences_were_read,
    a_switch_is_forced_and_its_timeline_followed_to_the_end,
    a_restart_of_the_server_is_survived_without_a_click,
    savings_are_those_of_the_ledger,
    switches_are_exported_as_the_api_has_them,
    a_refused_change_goes_back_and_says_why,
    a_budget_for_probes_is_set_and_what_it_buys_comes_by_itself,
)
END = (
    probes_are_turned_off_by_one_click,
    an_agent_is_deleted_after_what_it_leaves_was_read,
    another_tenant_sees_nothing_of_it,
    a_page_of_one_tenant_goes_once_another_tab_has_signed_in_as_another,
    a_rotated_token_signs_every_browser_out,
)
