"""A server's clouds: one for each account and region, made anew when the settings change."""

from datetime import UTC, datetime, timedelta

import pytest

from spotguard.cloud.aws.accounts import READ_AGAIN, AwsClouds
from spotguard.cloud.aws.connection import Account
from spotguard.domain.ids import ClientId

ACME, OTHER, NOBODY = ClientId("acme"), ClientId("other"), ClientId("nobody")
HERE, THERE = Account("ap-south-1"), Account("eu-west-1")


class Hand:
    """A clock that is set by hand, and accounts that are asked for."""

    def __init__(self):
        self.at = datetime(2026, 1, 5, tzinfo=UTC)
        self.accounts = {ACME: HERE, OTHER: HERE}
        self.asked = 0

    def now(self):
        return self.at

    def read(self):
        self.asked += 1
        return dict(self.accounts)


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def clouds(hand):
    return AwsClouds(hand.read, hand)


def test_clients_of_one_account_share_its_cloud(clouds):
    assert clouds(ACME).account == HERE
    assert clouds(ACME) is clouds(OTHER)
    assert clouds(NOBODY) is None


def test_accounts_are_not_read_for_every_call(hand, clouds):
    for _ in range(10):
        clouds(ACME)
    assert hand.asked == 1


def test_changed_settings_are_noticed_and_the_others_keep_their_cloud(hand, clouds):
    before, kept = clouds(ACME), clouds(OTHER)
    hand.accounts = {ACME: THERE, OTHER: HERE}
    hand.at += READ_AGAIN
    assert clouds(ACME) is not before
    assert clouds(ACME).account == THERE
    assert clouds(OTHER) is kept


def test_a_forgotten_account_is_none(hand, clouds):
    assert clouds(ACME) is not None
    hand.accounts = {}
    hand.at += READ_AGAIN
    assert clouds(ACME) is None


def test_a_clock_that_was_set_back_only_reads_again(hand, clouds):
    clouds(ACME)
    hand.at -= timedelta(hours=1)
    clouds(ACME)
    assert hand.asked == 2
