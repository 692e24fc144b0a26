"""A server's clouds: one for each account and region, made anew when the settings change."""

from datetime import UTC, datetime, timedelta

import pytest

from spotguard.cloud.aws.accounts import READ_AGAIN, AwsClouds
from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.domain.ids import ClientId
from tests.cloud.aws_scene import Endpoint, answer
from tests.host.servers import serving

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


ROLE = "arn:aws:iam::210987654321:role/spotguard"
TAKEN = """<AssumeRoleResult><Credentials><AccessKeyId>ASIATAKEN</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"""
CALLER = "<GetCallerIdentityResult><Account>210987654321</Account></GetCallerIdentityResult>"


def test_a_role_is_taken_once_with_the_clients_external_id():
    endpoint = Endpoint()
    endpoint.answers = {
        "AssumeRole": [answer("AssumeRole", TAKEN)],
        "GetCallerIdentity": [answer("GetCallerIdentity", CALLER)],
    }
    with serving(endpoint) as scene:
        cloud = AwsCloud(Account("us-east-1", scene.url, ROLE, "the-external-id"))
        assert cloud.caller().account_id == cloud.caller().account_id == "210987654321"
    (taken,) = endpoint.asked("AssumeRole")
    assert (taken["RoleArn"], taken["ExternalId"]) == (ROLE, "the-external-id")
    signed_by = [asked.headers["Authorization"] for asked in scene.asked]
    assert "toy" in signed_by[0]
    assert all("ASIATAKEN" in signature for signature in signed_by[1:])
