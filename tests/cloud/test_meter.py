"""The billing meter, against a recomputation second by second that knows nothing of segments."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.cloud.simulated.billing import is_waived
from spotguard.domain.instances import EndReason, Mode
from spotguard.market.history import PriceHistory
from spotguard.ports.cloud import InstanceView
from tests.cloud.scene import PRICES, QUIET, START, TAGS, A, B, Scene, prices

HOUR = Decimal(3600)


def price_of(history: PriceHistory, view: InstanceView, second: datetime) -> Decimal:
    return Decimal("0.096") if view.mode is Mode.ONDEMAND else history.price_at(view.pool, second)


def naive_usd(history: PriceHistory, view: InstanceView, until: datetime) -> Decimal:
    """Every second that it ran at the price of that second, at least sixty of them."""
    end = min(view.ended_at or until, until)
    second, bill = view.launched_at, []
    while second < end:
        bill.append(price_of(history, view, second))
        second += timedelta(seconds=1)
    if view.ended_at and view.end_reason is EndReason.INTERRUPTED and len(bill) < 3600:
        return Decimal(0)
    last = bill[-1] if bill else price_of(history, view, view.launched_at)
    return sum(bill + [last] * (60 - len(bill)), Decimal(0)) / HOUR


def cost_of(scene: Scene, instance, **window) -> Decimal:
    return scene.ec2.bill(**window).by_resource[instance]


def test_spot_pays_the_pools_price_as_it_changes():
    scene = Scene()
    instance = scene.running(A)
    scene.wait(3600)
    scene.ec2.terminate_instance(instance)
    scene.wait(9999)
    before_the_change, after_it = 30 * 60 - 10, 30 * 60 + 10
    expected = (before_the_change * Decimal("0.04") + after_it * Decimal("0.05")) / HOUR
    assert cost_of(scene, instance) == expected


def test_ondemand_pays_its_list_price():
    scene = Scene()
    instance = scene.running(A, Mode.ONDEMAND)
    scene.wait(1000)
    assert cost_of(scene, instance) == 1000 * Decimal("0.096") / HOUR


def test_sixty_seconds_at_least():
    scene = Scene()
    instance = scene.running(A)
    scene.wait(5)
    scene.ec2.terminate_instance(instance)
    scene.wait(100)
    assert cost_of(scene, instance) == 60 * Decimal("0.04") / HOUR


def test_interrupted_within_its_first_hour_it_is_free():
    """E35."""
    scene = Scene()
    young, old = scene.running(A), scene.running(B)
    scene.wait(3570)
    scene.ec2.controls.interrupt(young, notice_seconds=0)
    scene.ec2.controls.interrupt(old, notice_seconds=60)
    scene.wait(3600)
    assert cost_of(scene, young) == 0
    assert cost_of(scene, old) == 3630 * Decimal("0.036") / HOUR


@pytest.mark.parametrize(
    ("mode", "reason", "seconds", "free"),
    [
        (Mode.SPOT, EndReason.INTERRUPTED, 3599, True),
        (Mode.SPOT, EndReason.INTERRUPTED, 3600, False),
        (Mode.SPOT, EndReason.REQUESTED, 10, False),
        (Mode.SPOT, None, 10, False),
        (Mode.ONDEMAND, EndReason.INTERRUPTED, 10, False),
    ],
)
def test_what_is_waived(mode, reason, seconds, free):
    """E35."""
    assert is_waived(mode, reason, seconds) is free


def test_terminated_by_us_in_its_first_hour_it_is_billed():
    """E35: self-terminated is billed, a notice notwithstanding."""
    scene = Scene()
    instance = scene.running(A)
    scene.ec2.controls.interrupt(instance)
    scene.wait(100)
    scene.ec2.terminate_instance(instance)
    scene.wait(100)
    assert cost_of(scene, instance) == 100 * Decimal("0.04") / HOUR


def test_the_waived_hour_is_given_back_when_it_is_waived():
    scene = Scene()
    instance = scene.running(A)
    scene.wait(600)
    at_notice = scene.clock.now()
    assert cost_of(scene, instance) > 0
    scene.ec2.controls.interrupt(instance, notice_seconds=0)
    scene.wait(60)
    assert cost_of(scene, instance) == 0
    assert cost_of(scene, instance, since=at_notice - timedelta(seconds=1)) < 0


def test_what_never_ran_costs_nothing():
    scene = Scene()
    instance = scene.launched()
    scene.wait(5)
    scene.ec2.terminate_instance(instance)
    scene.wait(500)
    assert cost_of(scene, instance) == 0


def test_stopped_and_started_is_two_runs():
    scene = Scene()
    instance = scene.running(A, Mode.ONDEMAND)
    scene.wait(20)
    scene.ec2.controls.stop(instance)
    scene.wait(1000)
    scene.ec2.controls.start(instance)
    scene.wait(110)
    assert cost_of(scene, instance) == (60 + 100) * Decimal("0.096") / HOUR


def test_disks_and_copies_are_billed_by_the_second_until_deleted():
    scene = Scene()
    volume = scene.ec2.create_volume("t", A.az, 100, TAGS)
    scene.wait(1000)
    snapshot = scene.ec2.create_snapshot(volume, TAGS)
    scene.ec2.delete_volume(volume)
    scene.wait(2000)
    scene.ec2.delete_snapshot(snapshot)
    scene.wait(5000)
    bill = scene.ec2.bill()
    month = 730 * HOUR
    assert bill.by_resource[volume] == 1000 * 100 * Decimal("0.08") / month
    assert bill.by_resource[snapshot] == 2000 * 100 * Decimal("0.05") / month
    assert bill.usd == 100 * (1000 * Decimal("0.08") + 2000 * Decimal("0.05")) / month


def test_the_total_is_the_sum_and_windows_add_up():
    scene = Scene()
    scene.running(A)
    scene.running(B, Mode.ONDEMAND)
    scene.wait(2345)
    middle = scene.clock.now()
    scene.wait(5000)
    whole = scene.ec2.bill()
    tail = scene.ec2.meter_usd(since=middle)
    assert abs(whole.usd - sum(whole.by_resource.values())) < Decimal("1e-20")
    assert abs(scene.ec2.meter_usd(middle) + tail - whole.usd) < Decimal("1e-20")


@given(
    mode=st.sampled_from(Mode),
    steps=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 200_000)), max_size=6),
    seconds=st.integers(0, 5000),
    ending=st.sampled_from(["ours", "theirs", "none"]),
    later=st.integers(0, 300),
)
def test_the_meter_equals_the_sum_over_every_second(mode, steps, seconds, ending, later):
    history = prices(
        (A, -60, "0.04"), *[(A, minute + 1 / 3, str(Decimal(usd) / 1_000_000)) for minute, usd in steps]
    )
    scene = Scene(history=history)
    instance = scene.running(A, mode)
    scene.wait(seconds)
    if ending == "ours":
        scene.ec2.terminate_instance(instance)
    elif ending == "theirs":
        scene.ec2.controls.interrupt(instance, notice_seconds=0)
    scene.wait(later)
    assert cost_of(scene, instance) == naive_usd(history, scene.see(instance), scene.clock.now())


def test_the_prices_an_account_sees_are_those_it_pays():
    """An independent ledger must be able to come to the same last digit from the port alone."""
    scene = Scene(replace(QUIET, quotas=QUIET.quotas), history=PRICES)
    instance = scene.running(A)
    scene.wait(4000)
    seen = [c for c in scene.ec2.spot_price_history(START) if c.pool == A]
    view, total = scene.see(instance), Decimal(0)
    ends = [change.at for change in seen[1:]] + [scene.clock.now()]
    for change, end in zip(seen, ends, strict=True):
        total += int((end - max(change.at, view.launched_at)).total_seconds()) * change.usd_per_hour
    assert cost_of(scene, instance) == total / HOUR
