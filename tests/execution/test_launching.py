"""Launching: an answer to every member of the error tree, and never two where one was wanted."""

from dataclasses import replace
from decimal import Decimal

import pytest

from spotguard.cloud.simulated.physics import fixed
from spotguard.domain.errors import (
    Doubtful,
    NeedsPerson,
    PoolDry,
    QuotaReached,
    Refused,
    Throttled,
    TokenMismatch,
)
from spotguard.domain.instances import InstanceState, Mode
from spotguard.execution.launching import Candidate, Exhausted, Launched, NotYet, Stopped
from spotguard.execution.tokens import token_of
from spotguard.ports.intentions import TOKEN_TAG, IntentionStatus
from tests.cloud.scene import EXACT, QUIET, A, B, C
from tests.execution.cloud import Launching, WithoutRoom

LOST = Doubtful("RequestTimeout")
NO_ROOM = [QuotaReached("MaxSpotInstanceCountExceeded"), PoolDry("InsufficientInstanceCapacity")]
HIDDEN = replace(QUIET, physics=replace(EXACT, visible_after_seconds=fixed(240)))


def test_a_token_is_its_wish_and_64_ascii_characters():
    token = token_of("switch-1", "move", 1, "pool:spot")
    assert token == token_of("switch-1", "move", 1, "pool:spot")
    others = [("switch-2", "move", 1, "pool:spot"), ("switch-1", "standby", 1, "pool:spot")]
    others += [("switch-1", "move", 2, "pool:spot"), ("switch-1", "move", 1, "other:spot")]
    assert len({token, *(token_of(*other) for other in others)}) == 5
    assert len(token) == 64
    assert token.isascii()


def test_the_intention_is_written_before_the_call_and_closed_after_it():
    scene = Launching(A)
    result = scene.go()
    assert isinstance(result, Launched)
    assert [what for what, _ in scene.intentions.log] == ["open", "close"]
    assert result.instance.tags[TOKEN_TAG] == result.token
    assert result.instance.token == result.token


def test_asked_again_it_tells_the_same_instance():
    scene = Launching(A)
    assert scene.go() == scene.go()
    assert len(scene.made()) == 1


def test_what_was_launched_and_has_vanished_since_has_ended():
    """The server was away from EC2's answer until nothing showed the instance any more."""
    scene = Launching(A)
    made = scene.go().instance.instance_id
    scene.ec2.controls.fail_instance(made)
    scene.wait(7200)
    assert scene.made() == ()
    gone = scene.go()
    assert isinstance(gone, Exhausted)
    assert gone.ended == made
    assert isinstance(scene.go(attempt=2), Launched)


def test_what_ec2_does_not_show_yet_is_not_launched_again():
    """Its answer was written down, and then the process died."""
    scene = Launching(A)
    scene.ec2.controls.hide_new((60, 60))
    made = scene.go().instance.instance_id
    scene.wait(30)
    assert isinstance(scene.go(), NotYet)
    scene.wait(60)
    assert scene.go().instance.instance_id == made
    assert len(scene.made()) == 1


def test_a_dry_pool_means_the_next_with_a_token_of_its_own():
    scene = Launching(A, B)
    scene.ec2.controls.make_dry(A)
    result = scene.go()
    assert isinstance(result, Launched)
    assert result.instance.pool.az == B.az
    assert len({i.token for i in scene.intentions.known}) == 2


def test_all_dry_is_told_with_names_and_a_higher_attempt_tries_again():
    scene = Launching(A, B)
    scene.ec2.controls.make_dry(A)
    scene.ec2.controls.make_dry(B)
    result = scene.go()
    assert isinstance(result, Exhausted)
    assert [pool.az for pool in result.dry] == [A.az, B.az]
    assert scene.go() == result
    scene.ec2.controls.end_dryness(A)
    assert scene.go() == result, "a token that failed is not used again"
    assert isinstance(scene.go(attempt=2), Launched)


def test_a_quota_ends_spot_and_leaves_on_demand():
    scene = Launching(A, B, Candidate(C, Mode.ONDEMAND))
    scene.ec2.faults.next("run_instance", QuotaReached("MaxSpotInstanceCountExceeded"))
    result = scene.go()
    assert isinstance(result, Launched)
    assert result.instance.mode is Mode.ONDEMAND
    assert len(scene.intentions.known) == 2, "the second spot pool was not asked"


def test_a_quota_without_a_way_out_is_told():
    scene = Launching(A, B)
    scene.ec2.faults.next("run_instance", QuotaReached("MaxSpotInstanceCountExceeded"))
    result = scene.go()
    assert isinstance(result, Exhausted)
    assert result.quota == "MaxSpotInstanceCountExceeded"


def test_throttled_means_the_same_token_later():
    scene = Launching(A, B)
    scene.ec2.faults.next("run_instance", Throttled("RequestLimitExceeded"))
    assert isinstance(scene.go(), NotYet)
    result = scene.go()
    assert isinstance(result, Launched)
    assert result.instance.pool.az == A.az
    assert len(scene.intentions.known) == 1


def test_a_missing_permission_stops():
    scene = Launching(A, B)
    scene.ec2.faults.next("run_instance", NeedsPerson("UnauthorizedOperation"))
    result = scene.go()
    assert isinstance(result, Stopped)
    assert result.code == "UnauthorizedOperation"
    assert scene.made() == ()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("after_effect", [False, True])
def test_a_lost_answer_never_makes_two(at_once, after_effect):
    scene = Launching(A, B, at_once=at_once)
    action = "create_fleet" if at_once else "run_instance"
    scene.ec2.faults.next(action, LOST, after_effect=after_effect)
    for _ in range(4):
        result = scene.go()
        scene.wait(5)
    assert isinstance(result, Launched)
    assert len(scene.made()) == 1
    assert scene.intentions.still_open() == []


def test_a_lost_answer_with_the_look_up_lost_too():
    scene = Launching(A, B)
    scene.ec2.faults.next("run_instance", LOST, after_effect=True)
    scene.ec2.faults.next("describe_instances", LOST)
    assert isinstance(scene.go(), NotYet)
    assert len(scene.intentions.still_open()) == 1
    assert isinstance(scene.go(), Launched)
    assert len(scene.made()) == 1


def lost(refusal, *, at_once=False, after_effect=True):
    """The first call's answer is lost and what it made is hidden; whoever asks again is refused."""
    scene = Launching(A, Candidate(B, Mode.ONDEMAND), at_once=at_once, settings=HIDDEN)
    scene.ec2.faults.next("create_fleet" if at_once else "run_instance", LOST, after_effect=after_effect)
    assert isinstance(scene.go(), NotYet)
    calm, scene.ec2 = scene.ec2, WithoutRoom(scene.ec2, refusal)
    return scene, calm


@pytest.mark.parametrize("refusal", NO_ROOM)
def test_a_refusal_after_a_lost_answer_does_not_prove_that_nothing_was_made(refusal):
    scene, _ = lost(refusal)
    for _ in range(40):
        scene.wait(5)
        assert isinstance(scene.go(), NotYet)
    assert len(scene.intentions.known) == 1, "no other candidate was tried"
    scene.wait(45)
    result = scene.go()
    assert isinstance(result, Launched)
    assert [view.instance_id for view in scene.made()] == [result.instance.instance_id]
    assert scene.intentions.still_open() == []


@pytest.mark.parametrize("refusal", NO_ROOM)
def test_an_emergency_does_not_wait_for_what_a_refused_repetition_leaves_in_doubt(refusal):
    scene, calm = lost(refusal, at_once=True, after_effect=False)
    scene.wait(5)
    assert isinstance(scene.go(), Exhausted)
    scene.ec2 = calm
    assert isinstance(scene.go(attempt=2), Launched)


@pytest.mark.parametrize("refusal", NO_ROOM)
def test_what_five_minutes_have_not_shown_was_not_made(refusal):
    scene, calm = lost(refusal, after_effect=False)
    scene.wait(290)
    assert isinstance(scene.go(), NotYet)
    scene.wait(15)
    exhausted = scene.go()
    assert isinstance(exhausted, Exhausted)
    scene.ec2 = calm
    assert isinstance(scene.go(attempt=2), Launched)
    scene.wait(240)
    assert len(scene.made()) == 1


def test_a_right_that_is_taken_amid_a_doubt_leaves_the_doubt_open():
    """A person must act; what the first call made is found by whoever carries the attempt on."""
    scene, _ = lost(NeedsPerson("UnauthorizedOperation"))
    scene.wait(5)
    assert isinstance(scene.go(), Stopped)
    assert len(scene.intentions.still_open()) == 1
    scene.wait(240)
    assert isinstance(scene.go(), Launched)
    assert len(scene.made()) == 1
    assert scene.intentions.still_open() == []


def test_a_look_up_that_is_not_allowed_stops():
    scene = Launching(A)
    scene.ec2.faults.next("run_instance", LOST, after_effect=True)
    scene.ec2.faults.next("describe_instances", NeedsPerson("UnauthorizedOperation"))
    assert isinstance(scene.go(), Stopped)
    assert len(scene.intentions.still_open()) == 1, "what was begun is still to be resolved"


def test_after_a_crash_other_user_data_still_makes_one():
    """The enrolment token in it was minted anew: EC2 answers with a mismatch until it shows the former instance."""
    slow = replace(QUIET, physics=replace(EXACT, visible_after_seconds=fixed(30)))
    scene = Launching(A, settings=slow)
    scene.ec2.faults.next("run_instance", LOST, after_effect=True)
    assert isinstance(scene.go(), NotYet)
    for _ in range(5):
        assert isinstance(scene.go(user_data=lambda: "other"), NotYet)
        scene.wait(5)
    scene.wait(10)
    assert isinstance(scene.go(user_data=lambda: "other"), Launched)
    assert len(scene.made()) == 1


def test_a_mismatch_whose_instance_is_long_gone_is_given_up_for_a_new_attempt():
    scene = Launching(A)
    for _ in range(3):
        scene.ec2.faults.next("run_instance", TokenMismatch("IdempotentParameterMismatch"))
    assert isinstance(scene.go(), NotYet)
    scene.wait(3600)
    assert isinstance(scene.go(), NotYet)
    scene.wait(3700)
    assert isinstance(scene.go(), Exhausted)
    assert scene.made() == ()
    assert isinstance(scene.go(attempt=2), Launched)


def test_in_an_emergency_a_spent_token_is_given_up_within_minutes():
    """A fleet found nothing, its answer was lost, and the pools to try have changed since."""
    scene = Launching(A, Candidate(B, Mode.ONDEMAND), at_once=True)
    scene.ec2.faults.next("create_fleet", LOST)
    for _ in range(2):
        scene.ec2.faults.next("create_fleet", TokenMismatch("IdempotentParameterMismatch"))
    assert isinstance(scene.go(), NotYet)
    scene.wait(30)
    assert isinstance(scene.go(), NotYet)
    scene.wait(60)
    assert isinstance(scene.go(), Exhausted)
    assert isinstance(scene.go(attempt=2), Launched)
    assert len(scene.made()) == 1


@pytest.mark.parametrize(("at_once", "minutes"), [(False, 5), (True, 1)])
def test_an_image_that_ec2_still_does_not_show_when_it_would_show_a_new_one_has_gone(at_once, minutes):
    scene = Launching(A, Candidate(B, Mode.ONDEMAND), at_once=at_once)
    scene.ec2.controls.withdraw_image(scene.image)
    assert isinstance(scene.go(), NotYet), "one that was just made may not show yet"
    scene.wait(60 * minutes + 1)
    result = scene.go()
    assert isinstance(result, Stopped)
    assert result.code.startswith("InvalidAMIID.")
    assert scene.intentions.still_open() == []


def test_an_instance_that_has_ended_is_told_and_not_taken():
    scene = Launching(A)
    first = scene.go()
    assert isinstance(first, Launched)
    scene.ec2.terminate_instance(first.instance.instance_id)
    result = scene.go()
    assert isinstance(result, Exhausted)
    assert result.ended == first.instance.instance_id
    assert isinstance(scene.go(attempt=2), Launched)


def test_a_fleet_takes_the_first_that_has_room():
    scene = Launching(A, B, Candidate(C, Mode.ONDEMAND), at_once=True)
    scene.ec2.controls.make_dry(A)
    result = scene.go()
    assert isinstance(result, Launched)
    assert result.instance.pool.az == B.az
    assert scene.go() == result


def test_a_spend_cap_stops_before_ec2_hears_of_it():
    class Capped(type(Launching(A).intentions)):
        def open(self, intention):
            if (intention.usd_per_hour or 0) > Decimal("0.03"):
                raise Refused("the cap")
            super().open(intention)

    scene = Launching(Candidate(A, Mode.SPOT, Decimal("0.04")))
    scene.intentions = Capped()
    with pytest.raises(Refused):
        scene.go()
    assert scene.made() == ()


@pytest.mark.parametrize("crash_after", ["open", "call"])
def test_a_crash_between_any_two_lines_is_resumed(crash_after):
    class Crashing(type(Launching(A).intentions)):
        def open(self, intention):
            super().open(intention)
            if crash_after == "open":
                raise KeyboardInterrupt

        def close(self, token, outcome):
            raise KeyboardInterrupt

    scene = Launching(A, B)
    calm, scene.intentions = scene.intentions, Crashing()
    with pytest.raises(KeyboardInterrupt):
        scene.go()
    calm.known = scene.intentions.known
    scene.intentions = calm
    scene.wait(5)
    result = scene.go()
    assert isinstance(result, Launched)
    assert len(scene.made()) == 1
    assert [i.status for i in calm.known] == [IntentionStatus.DONE]
    assert result.instance.state in (InstanceState.PENDING, InstanceState.RUNNING)


def test_nothing_to_try_is_exhausted():
    assert isinstance(Launching().go(), Exhausted)
    assert isinstance(Launching(at_once=True).go(), Exhausted)
