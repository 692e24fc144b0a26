"""The commands that speak to AWS, against servers that stand in for it."""

import json

import pytest

from tests.cloud.aws_scene import answer, refuse_json, scripted

ROW = (
    "<item><instanceType>m5.large</instanceType><productDescription>Linux/UNIX</productDescription>"
    "<spotPrice>0.041234</spotPrice><timestamp>2026-01-05T09:00:00.000Z</timestamp>"
    "<availabilityZone>us-east-1a</availabilityZone><availabilityZoneId>use1-az6</availabilityZoneId></item>"
)
HISTORY = answer("DescribeSpotPriceHistory", f"<spotPriceHistorySet>{ROW}</spotPriceHistorySet>")
OFFERED = answer(
    "DescribeInstanceTypeOfferings",
    "<instanceTypeOfferingSet><item><instanceType>m5.large</instanceType></item></instanceTypeOfferingSet>",
)


@pytest.fixture(autouse=True)
def toy_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "toy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "toy")


class TestFetch:
    def test_the_regions_types_are_asked_for_and_stored_once(self, shell):
        with scripted(
            DescribeInstanceTypeOfferings=[OFFERED],
            DescribeSpotPriceHistory=[HISTORY],
            GetProducts=[refuse_json("AccessDeniedException")],
        ) as (cloud, endpoint):
            words = ["prices", "fetch", "--region", "us-east-1", "--days", "7", "--json"]
            words += ["--endpoint-url", cloud.account.endpoint_url]
            first, again = shell.run(*words), shell.run(*words)
        assert first.exit_code == again.exit_code == 0, first.stderr
        assert json.loads(first.stdout)["changes"] == json.loads(again.stdout)["pools"] == 1
        assert "no on-demand prices: AccessDeniedException" in first.stderr
        asked = endpoint.asked("DescribeSpotPriceHistory")[0]
        assert asked["ProductDescription.1"] == "Linux/UNIX"
        assert asked["InstanceType.1"] == "m5.large"

    def test_no_price_at_all_is_a_failure(self, shell):
        nothing = answer("DescribeSpotPriceHistory", "<spotPriceHistorySet/>")
        with scripted(
            DescribeSpotPriceHistory=[nothing], GetProducts=[refuse_json("AccessDeniedException")]
        ) as (cloud, _):
            words = ["prices", "fetch", "--region", "us-east-1", "--type", "m5.large"]
            told = shell.run(*words, "--endpoint-url", cloud.account.endpoint_url)
        assert told.exit_code == 1
        assert "told no price" in told.stderr


class TestVerify:
    @pytest.mark.parametrize("budget", ["0", "-1", "NaN", "much"])
    def test_a_budget_that_is_none_is_a_usage_error(self, shell, budget):
        words = ["verify-aws", "--budget", budget, "--region", "us-east-1", "--image", "ami-1"]
        assert shell.run(*words).exit_code == 2

    def test_a_price_list_that_does_not_answer_stops_it_before_anything_is_made(self, shell):
        inner = "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
        who = answer("GetCallerIdentity", inner)
        with scripted(GetCallerIdentity=[who], GetProducts=[refuse_json("AccessDeniedException")]) as (
            cloud,
            endpoint,
        ):
            words = ["verify-aws", "--budget", "5", "--region", "us-east-1", "--image", "ami-1"]
            told = shell.fails(*words, "--endpoint-url", cloud.account.endpoint_url)
        assert "AccessDeniedException" in told
        assert endpoint.asked("RunInstances") == []
