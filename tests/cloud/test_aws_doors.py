"""One account that does not answer keeps the others waiting once, not with every call."""

import contextlib
import gc
import logging
import threading
import time

import pytest

from spotguard.cloud.aws.accounts import AwsClouds
from spotguard.cloud.aws.connection import Account, Patience
from spotguard.domain.errors import Doubtful, Throttled
from spotguard.domain.ids import ClientId, InstanceId
from spotguard.host.clock import SystemClock
from tests.cloud.aws_scene import FOUND, INSTANCE, Endpoint, answer
from tests.host.servers import serving

SICK, WELL = ClientId("sick"), ClientId("well")
SHOWN = answer("DescribeInstances", FOUND)
ENDED = answer("TerminateInstances")
PATIENCE = Patience(connect=1, look=0.3, change=0.3)


@contextlib.contextmanager
def two_accounts(sick, well=SHOWN):
    """In one region, each at an endpoint of its own; what each answers to DescribeInstances."""
    ends = {SICK: Endpoint(), WELL: Endpoint()}
    ends[SICK].answers = {"DescribeInstances": [sick(ends[SICK])]}
    ends[WELL].answers = {"DescribeInstances": [well]}
    with serving(ends[SICK]) as first, serving(ends[WELL]) as second:
        accounts = {SICK: Account("us-east-1", first.url), WELL: Account("us-east-1", second.url)}
        try:
            yield AwsClouds(lambda: accounts, SystemClock(), PATIENCE), ends
        finally:
            for end in ends.values():
                end.hold.set()


@pytest.fixture(autouse=True)
def nobody_knocks_on(caplog):
    """At a door whose account nobody asks any more. A thread left behind would draw dice amid other tests."""
    # a kept record keeps its frames, and they the account
    caplog.set_level(logging.CRITICAL, "botocore.credentials")
    yield
    until(nobody_knocks)


def nobody_knocks():
    gc.collect()
    return not any(thread.name == "knocking" for thread in threading.enumerate())


def mute(endpoint):
    return endpoint.never


def seconds_of(call):
    begun = time.monotonic()
    with contextlib.suppress(Doubtful, Throttled):
        call()
    return time.monotonic() - begun


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def shows(cloud):
    try:
        return bool(cloud.describe_instances([InstanceId(INSTANCE)]))
    except (Doubtful, Throttled):
        return False


def test_who_gave_no_answer_is_refused_at_once_and_asked_aside_until_it_answers():
    with two_accounts(mute) as (clouds, ends):
        cloud = clouds(SICK)
        with pytest.raises(Doubtful):
            cloud.describe_instances()
        seconds_of(cloud.describe_instances)  # the glance
        assert seconds_of(lambda: [shows(cloud) for _ in range(50)]) < 0.3  # one call's patience
        ends[SICK].answers["DescribeInstances"] = [SHOWN]
        ends[SICK].hold.set()
        until(lambda: shows(cloud))


def test_the_others_of_the_region_are_asked_aside_and_go_on():
    with two_accounts(mute) as (clouds, ends):
        assert shows(clouds(WELL))
        assert not shows(clouds(SICK))
        assert shows(clouds(WELL))
        assert len(ends[WELL].asked("DescribeInstances")) == 3  # ours, and the one aside


def test_when_the_region_is_mute_only_the_first_account_costs_its_patience():
    with two_accounts(mute) as (clouds, ends):
        assert shows(clouds(WELL))
        ends[WELL].answers["DescribeInstances"] = [ends[WELL].never]
        assert not shows(clouds(SICK))
        with pytest.raises(Throttled):
            clouds(WELL).describe_instances()


def test_a_change_without_an_answer_rests_for_a_pass_and_looks_go_on():
    with two_accounts(lambda _endpoint: SHOWN) as (clouds, ends):
        cloud, end = clouds(SICK), ends[SICK]
        end.answers["TerminateInstances"] = [end.never, ENDED]
        with pytest.raises(Doubtful):
            cloud.terminate_instance(InstanceId(INSTANCE))
        with pytest.raises(Throttled):
            cloud.terminate_instance(InstanceId(INSTANCE))
        assert shows(cloud)
        assert len(end.asked("TerminateInstances")) == 1


def test_a_service_that_is_mute_shuts_no_other():
    with two_accounts(lambda _endpoint: SHOWN) as (clouds, ends):
        cloud = clouds(SICK)
        ends[SICK].answers["GetProducts"] = [ends[SICK].never]
        with pytest.raises(Doubtful):
            cloud.ondemand_prices()
        assert shows(cloud)


def test_a_role_that_nobody_gives_is_waited_for_no_longer_than_a_look():
    endpoint = Endpoint()
    endpoint.answers = {"AssumeRole": [endpoint.never]}
    with serving(endpoint) as scene:
        account = Account(
            "us-east-1", scene.url, "arn:aws:iam::210987654321:role/spotguard", "the-external-id"
        )
        clouds = AwsClouds(lambda: {SICK: account}, SystemClock(), PATIENCE)
        try:
            assert seconds_of(clouds(SICK).describe_instances) < 4
            assert len(endpoint.asked("AssumeRole")) <= 3
        finally:
            endpoint.hold.set()


@pytest.mark.long
def test_an_account_that_nobody_asks_any_more_is_not_knocked_at_for_ever():
    endpoint = Endpoint()
    endpoint.answers = {"DescribeInstances": [endpoint.never]}
    with serving(endpoint) as scene:
        clouds = AwsClouds(lambda: {SICK: Account("us-east-1", scene.url)}, SystemClock(), PATIENCE)
        try:
            assert not shows(clouds(SICK))
            assert not nobody_knocks()
            del clouds
            until(nobody_knocks)
        finally:
            endpoint.hold.set()
