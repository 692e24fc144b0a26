"""A failover drill is judged by its move alone, and a certificate is read in one line."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.planning.drills import (
    FailoverFacts,
    Rehearsed,
    StatePlace,
    calm_places,
    certificate_text,
    judge_failover,
    judge_restore,
)
from spotguard.planning.standby import Place

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def facts(told, **changes):
    times = {step: at(seconds) for step, seconds in told.items()}
    same = {
        "started_at": START,
        "deadline_at": at(3600),
        "kind": MoveKind.SYNCED,
        "status": SwitchStatus.PREPARING,
        "ended_because": None,
        "told": times,
        "heard": times,
    }
    return FailoverFacts(**same | changes)


DONE = {Step.DECIDED: 0, Step.GATE_CLOSED: 2, Step.DELTA_SENT: 3, Step.OPENED: 6.5, Step.VERIFIED: 20}


def test_it_passes_when_the_new_instance_is_verified_and_says_what_it_measured():
    verdict = judge_failover(facts(DONE), at(21))
    assert verdict.passed
    assert (verdict.seconds, verdict.outage_seconds, verdict.lost_seconds) == (
        Decimal("6.500"),
        Decimal("4.500"),
        0,
    )


def test_what_another_one_proved_that_took_over_from_its_new_instance_is_not_its_own():
    verdict = judge_failover(facts(DONE, superseded_by=4), at(21))
    assert not verdict.passed
    assert "epoch 4" in verdict.because
    assert (verdict.seconds, verdict.outage_seconds) == (None, None)


@pytest.mark.parametrize("step", [Step.VERIFIED, Step.OPENED])
def test_until_then_it_goes_on(step):
    assert judge_failover(facts({s: t for s, t in DONE.items() if s is not step}), at(21)) is None


def test_a_move_that_came_to_nothing_is_a_failed_drill():
    for status in (SwitchStatus.UNWOUND, SwitchStatus.FAILED):
        verdict = judge_failover(facts({Step.DECIDED: 0}, status=status, ended_because="no capacity"), at(9))
        assert (verdict.passed, "no capacity" in verdict.because, verdict.seconds) == (False, True, None)


def test_one_that_takes_too_long_fails_and_names_its_last_step():
    verdict = judge_failover(facts({Step.DECIDED: 0, Step.GATE_CLOSED: 2}), at(3601))
    assert (verdict.passed, "gate_closed" in verdict.because) == (False, True)


def test_what_was_not_measured_is_not_invented():
    unclosed = {step: time for step, time in DONE.items() if step is not Step.GATE_CLOSED}
    verdict = judge_failover(facts(unclosed), at(21))
    assert (verdict.outage_seconds, verdict.lost_seconds) == (None, None)
    contradicting = judge_failover(facts({**DONE, Step.GATE_CLOSED: 8}), at(21))
    assert contradicting.outage_seconds is None


CHEAP, DEAR = (Pool("m6i.large", f"eu-west-1{zone}") for zone in "ab")


def calm(*, risks, up=None):
    """Where a drill goes, of a cheap pool, a dear one and on-demand in the order of their prices; limit 30 %."""
    assessed = [
        PoolAssessment(
            pool, Decimal("0.04"), 30.0, up if pool == CHEAP else None, risk, None, True, "allowed"
        )
        for pool, risk in zip((CHEAP, DEAR), risks, strict=True)
    ]
    places = [Place(CHEAP, Mode.SPOT, Decimal("0.04")), Place(DEAR, Mode.SPOT, Decimal("0.05"))]
    ondemand = Place(DEAR, Mode.ONDEMAND, Decimal("0.1"))
    ordered = calm_places([*places, ondemand], assessed, Decimal("0.3"))
    return [(place.mode.value, place.pool.az[-1]) for place in ordered]


AS_PRICED = [("spot", "a"), ("spot", "b"), ("ondemand", "b")]


def test_a_drill_rehearses_in_no_storm_where_a_calmer_place_is():
    assert calm(risks=(Decimal("0.3"), None)) == AS_PRICED, "at the limit, and of unknown risk"
    assert calm(risks=(Decimal("0.999"), Decimal("0.1"))) == [("spot", "b"), ("ondemand", "b"), ("spot", "a")]
    assert calm(risks=(Decimal("0.999"), Decimal("0.4"))) == [("ondemand", "b"), ("spot", "a"), ("spot", "b")]


def test_a_pool_with_a_fresh_recommendation_is_none_for_a_drill():
    assert calm(risks=(Decimal("0.1"), None), up=7199.0) == [("spot", "b"), ("ondemand", "b"), ("spot", "a")]
    assert calm(risks=(Decimal("0.1"), None), up=7200.0) == AS_PRICED


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"passed": True, "age": timedelta(hours=9, minutes=20)}, "proven 9 h ago: 187 s, image 4 min old"),
        (
            {"passed": True, "age": timedelta(seconds=70), "because": "its probe succeeded"},
            "proven 70 s ago: 187 s, image 4 min old; its probe succeeded",
        ),
        ({"passed": False, "age": timedelta(days=3), "because": "no boot"}, "failed 3 d ago: no boot"),
    ],
)
def test_a_certificate_is_one_line(told, line):
    same = {"seconds": Decimal("187.2"), "state_age_seconds": Decimal(250), "because": None}
    assert certificate_text(**same | told) == line


SERVING = StatePlace("i-a", on_root=False, devices=frozenset({"/dev/sdf"}))
UNKNOWN = StatePlace("i-a", on_root=None, devices=None)


def rehearsed(*, has_probe=True, path="/srv", on_root=False, devices=("/dev/sdf",)):
    lies = StatePlace("i-b", on_root, None if devices is None else frozenset(devices))
    return Rehearsed(has_probe, path, None if path is None else "/srv", lies)


@pytest.mark.parametrize(
    ("clone", "serving", "because"),
    [
        (
            rehearsed(),
            SERVING,
            "its probe succeeded; its state folder /srv, a mount point of its own, is not empty, and lies on /dev/sdf",
        ),
        (
            rehearsed(path="/srv/web"),
            SERVING,
            "state folder /srv/web, below the mount point /srv, is not empty",
        ),
        (rehearsed(has_probe=False), SERVING, r"it runs \(no probe is configured\); "),
        (rehearsed(devices=None), SERVING, "lies on another disk than it boots from, as that of i-a"),
        (rehearsed(), UNKNOWN, "whether it lies where i-a has it is not known"),
        (rehearsed(), None, "nobody serves"),
        (rehearsed(path=None), SERVING, "of its state nothing was looked at"),
        (
            rehearsed(has_probe=None, path=None, devices=None),
            SERVING,
            "of an older version, and does not say by what",
        ),
    ],
)
def test_a_restore_has_proven_what_was_looked_at_and_no_more(clone, serving, because):
    verdict = judge_restore(clone, serving)
    assert verdict.passed
    assert re.search(because, verdict.because)


@pytest.mark.parametrize(
    ("clone", "because"),
    [
        (
            rehearsed(on_root=True, devices=("/dev/xvda",)),
            "the state of i-b lies on the disk that it boots from",
        ),
        (rehearsed(devices=("/dev/sdb",)), "its state lies on /dev/sdb, that of i-a on /dev/sdf"),
    ],
)
def test_a_workload_that_ran_on_a_state_elsewhere_than_who_serves_has_proven_nothing(clone, because):
    verdict = judge_restore(clone, SERVING)
    assert not verdict.passed
    assert because in verdict.because
