"""What is advised for whom: small markets, and the plan that follows from them."""

from decimal import Decimal

import pytest

from spotguard.advice.interruptions import Basis
from spotguard.advice.market import of_prices
from spotguard.advice.plans import Plan
from spotguard.advice.wish import Disks, Profile, StandbyWish
from spotguard.backtest.physics import Physics
from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import Pool
from tests.advice.little import COUSIN, ONDEMAND, REGION, TYPE, A, B, advised, calm, history, priced, sighted

HOURS = 720


def every(hours, first=0, length=2, days=30):
    """Down for so long every so many hours."""
    return [(hour, hour + length) for hour in range(first + hours, 24 * days - length, hours)]


class TestWhatIsToBeDone:
    def test_a_calm_cheap_pool_is_worth_spot_with_automatic_emergencies(self):
        advice = advised(calm())
        assert advice.plan is Plan.AUTOMATIC
        assert advice.recommended[0].pool == A
        assert "not known" in advice.because  # nobody told how often it is interrupted

    def test_its_saving_is_net_of_the_hours_in_which_both_ran(self):
        figures = advised(calm()).policy("engine")
        both = 0.1 * (210 + 1800) / 3600 - 0.03 * 0  # the old one waits on demand, once
        expected = 0.03 * HOURS + both
        assert figures.cost_usd.value == pytest.approx(expected, abs=0.01)
        assert figures.saving_usd.value == pytest.approx(72 - expected, abs=0.01)
        assert figures.plan_saving_usd.value == pytest.approx(72 * 0.72 - expected, abs=0.01)

    def test_where_both_end_together_nothing_is_paid_for_the_wait(self):
        soon = advised(calm(), physics=Physics(terminate_wait=0)).policy("engine").cost_usd.value
        late = advised(calm()).policy("engine").cost_usd.value
        assert late - soon == pytest.approx(0.1 * 0.5, abs=0.001)

    def test_pools_as_dear_as_on_demand_are_left_alone(self):
        advice = advised(calm(0.095, 0.099))
        assert advice.plan is Plan.ON_DEMAND
        assert advice.because.startswith("do nothing: no pool is well below")
        assert advice.expected_saving_usd == 0

    def test_what_became_cheap_yesterday_has_not_shown_that_it_saves(self):
        advice = advised(priced({A: [(0, 0.1), (29, 0.05)], B: 0.1}))
        low = advice.policy("engine").saving_usd.low
        assert (advice.plan, low <= 0) == (Plan.ON_DEMAND, True)
        assert "the saving may be nothing" in advice.because

    def test_a_savings_plan_that_saves_as_much_wins_without_interruptions(self):
        advice = advised(calm(0.075, 0.076))
        assert advice.plan is Plan.ON_DEMAND
        assert "a 1-year Savings Plan (28 % off) saves more" in advice.because
        assert advised(calm(0.075, 0.076), savings_plan=Decimal(0)).plan is Plan.AUTOMATIC

    def test_a_file_of_few_days_gives_no_interval_and_no_plan(self):
        advice = advised(calm(days=10))
        assert advice.plan is Plan.ON_DEMAND
        assert "10.0 days" in advice.because
        assert advice.policy("engine").saving_usd.low is None

    def test_a_file_of_one_moment_is_refused(self):
        with pytest.raises(InvalidInput, match=r"prices\.csv: it tells of less than an hour of m5\.large"):
            calm(days=0)

    def test_the_same_files_and_seed_give_the_same_advice(self):
        paths = {A: [(day, 0.03 + 0.002 * (day % 5)) for day in range(30)], B: 0.035}
        first, again = (advised(priced(paths)).policies for _ in range(2))
        assert first == again
        other = advised(priced(paths), seed=2).policies
        assert [one.cost_usd.value for one in other] == [one.cost_usd.value for one in first]


class TestWhatDowntimeIsWorth:
    def test_nobody_told_how_often_so_that_a_dear_minute_keeps_it_on_demand(self):
        advice = advised(calm(), minute_usd=Decimal(10))
        assert advice.plan is Plan.ON_DEMAND
        assert "nobody has told how often" in advice.because
        assert advice.interruptions.low is None

    def test_the_advisors_word_for_a_calm_type_decides_otherwise(self):
        advice = advised(calm(buckets={TYPE: 0}), minute_usd=Decimal(10))
        assert advice.plan is Plan.AUTOMATIC
        assert advice.most_interruptions > 2
        assert advice.interruptions.basis is Basis.ADVISOR
        assert advice.interruptions.high == pytest.approx(0.0513, abs=0.001)

    def test_the_worst_band_has_no_upper_edge_and_none_is_invented(self):
        told = advised(calm(buckets={TYPE: 4})).interruptions
        assert told.low == pytest.approx(0.223, abs=0.001)
        assert told.high is told.minutes_high is None

    def test_interruptions_are_counted_where_a_file_shows_them(self):
        advice = advised(sighted({A: every(24), B: []}))
        engine = advice.policy("engine")
        assert advice.interruptions.basis is Basis.MEASURED
        assert advice.interruptions.low == engine.interruptions
        assert advice.policy("reactive").interruptions > 0
        assert advice.policy("on-demand").interruptions == 0


class TestStandbys:
    def test_the_minute_at_which_one_pays_by_hand(self):
        worth = advised(calm(buckets={TYPE: 1})).standby
        assert worth.pool == B  # the other zone
        assert worth.cost_usd == pytest.approx(0.04 * HOURS)
        assert worth.minutes_saved == pytest.approx(1.5)  # 150 + 60 + 15 - 120 s, against a cut-over of 15 s
        assert worth.break_even_at_one_usd == pytest.approx(0.04 * HOURS / 1.5)
        assert worth.break_even_high_usd == pytest.approx(worth.break_even_at_one_usd / 0.0513, rel=0.01)
        assert worth.pays is False

    def test_above_it_the_plan_has_one(self):
        advice = advised(calm(0.01, 0.01, buckets={TYPE: 4}), minute_usd=Decimal(25))
        assert advice.standby.break_even_high_usd < 25
        assert advice.plan is Plan.STANDBY
        assert "standby pays" in advice.because

    def test_unless_nobody_wants_one(self):
        never = {"minute_usd": Decimal(25), "standby": StandbyWish.NEVER}
        assert advised(calm(0.01, 0.01, buckets={TYPE: 4}), **never).plan is not Plan.STANDBY

    def test_who_wants_one_gets_it_and_hears_what_is_left(self):
        advice = advised(calm(0.02, 0.02), standby=StandbyWish.ALWAYS)
        assert advice.plan is Plan.STANDBY
        assert advice.saving.saving_usd.value == pytest.approx(72 - 2 * 0.02 * HOURS, abs=0.3)

    def test_how_often_nobody_knows_nor_whether_it_pays(self):
        worth = advised(calm()).standby
        assert worth.pays is worth.break_even_low_usd is worth.break_even_high_usd is None

    def test_in_a_storm_it_is_measured(self):
        advice = advised(sighted({A: every(24), B: []}))
        minutes = {name: advice.policy(name).minutes_down.value for name in ("reactive", "manual-standby")}
        assert minutes["manual-standby"] < minutes["reactive"]


class TestWhatElseIsPaid:
    def test_disks_and_snapshots_count_where_their_rates_are_named(self):
        disks = Disks(100, Decimal("0.08"), Decimal("0.05"))
        bare, counted = advised(calm()), advised(calm(), disks=disks)
        snapshot = 100 * 0.05 * 720 / 730
        moved = 100 * 0.08 * (2010 / 3600) / 730  # one move: both sets for 2,010 s
        told = counted.policy("engine")
        assert told.disks_usd == pytest.approx(snapshot + moved, abs=0.001)
        assert told.cost_usd.value - bare.policy("engine").cost_usd.value == pytest.approx(told.disks_usd)
        assert counted.policy("on-demand").disks_usd == 0
        assert counted.policy("manual-standby").disks_usd > 100 * 0.08 * 0.98

    def test_what_is_not_counted_is_said(self):
        def notes(**wish):
            return " ".join(advised(calm(), **wish).remarks)

        assert "disks and snapshots are not counted" in notes()
        assert "no rate was named: snapshots" in notes(disks=Disks(8, Decimal("0.08")))
        assert "the rates are those that were named" in notes(
            disks=Disks(8, Decimal("0.08"), Decimal("0.05"))
        )

    def test_types_without_an_on_demand_price_are_named(self):
        market = priced({A: 0.03, B: 0.04, Pool("r5.large", "eu-west-1a"): 0.02})
        assert market.excluded == ("r5.large",)
        assert "r5.large" in " ".join(advised(market).remarks)

    def test_old_prices_say_how_old_they_are(self):
        assert not [note for note in advised(calm()).remarks if "days ago" in note]
        assert [
            note for note in advised(calm(days=20)).remarks if "prices end 2026-01-21, 10 days ago" in note
        ]


class TestPools:
    def test_an_equivalent_type_is_offered_and_its_price_told(self):
        advice = advised(priced({A: 0.03, COUSIN: 0.02, B: 0.04}))
        assert [offer.pool for offer in advice.recommended] == [COUSIN, A, B]
        first = advice.recommended[0]
        assert (first.usd_per_hour, first.ondemand_share) == (0.02, pytest.approx(0.2))
        assert first.held_seconds == pytest.approx(30 * 86_400)

    def test_a_burstable_one_is_not(self):
        burstable = Pool("t3.large", "eu-west-1a")
        ondemand = {("eu-west-1", TYPE): Decimal("0.1"), ("eu-west-1", "t3.large"): Decimal("0.08")}
        market = priced({A: 0.03, burstable: 0.01}, ondemand=ondemand)
        assert burstable not in market.world.pools

    def test_older_generations_are_left_out_and_named_unless_they_are_wanted(self):
        relic, ondemand = Pool("m4.large", "eu-west-1a"), {**ONDEMAND, (REGION, "m4.large"): Decimal("0.2")}
        advice = advised(priced({A: 0.03, relic: 0.01}, ondemand=ondemand))
        assert [offer.pool for offer in advice.offers] == [A]
        assert "left out, as EC2 calls their generation a previous one: m4.large (--older-generations)" in (
            advice.remarks
        )
        wanted = advised(priced({A: 0.03, relic: 0.01}, ondemand=ondemand, older=True))
        assert wanted.recommended[0].pool == relic
        assert "m4.large" not in " ".join(wanted.remarks)

    def test_the_last_place_is_for_another_zone(self):
        zone_a = {
            Pool(f"{kind}.large", "eu-west-1a"): 0.02
            for kind in ("m5", "m5a", "m5d", "m5ad", "m5n", "m5dn", "m6i")
        }
        ondemand = {("eu-west-1", pool.instance_type): Decimal("0.1") for pool in zone_a}
        pools = [offer.pool for offer in advised(priced({**zone_a, B: 0.05}, ondemand=ondemand)).recommended]
        assert (len(pools), pools[-1]) == (6, B)

    def test_a_bad_bucket_weighs_where_a_minute_is_dear(self):
        paths = {A: 0.030, COUSIN: 0.029, B: 0.05}
        cheap = priced(paths, buckets={TYPE: 0, "m5a.large": 4})
        assert advised(cheap).recommended[0].pool == COUSIN
        assert advised(cheap, profile=Profile.CRITICAL).recommended[0].pool == A

    def test_changes_and_range_are_of_the_last_month(self):
        steps = [(day, 0.03 + 0.01 * (day % 2)) for day in range(60)]
        (offer, *_) = [o for o in advised(priced({A: steps, B: 0.05}, days=60)).offers if o.pool == A]
        assert (offer.low_usd, offer.high_usd) == (0.03, 0.04)
        assert offer.changes == pytest.approx(30, abs=1)


def test_a_type_that_is_not_there_is_answered_with_those_near_it():
    """None of its family: what is written alike, and not the first of the alphabet."""
    others = [f"c{number}.metal-24xl" for number in range(20)]
    paths = {Pool(name, "eu-west-1a"): 0.03 for name in [*others, "r6g.xlarge", "r6i.xlarge"]}
    with pytest.raises(InvalidInput, match=r"no type 'r6.xlarge'; near it: r6g.xlarge, r6i.xlarge, of 22$"):
        of_prices(history(paths), ONDEMAND, REGION, "r6.xlarge", None)
