"""Prices, types and places over real HTTP."""

import json

import pytest

from tests.cloud.scene import ONDEMAND, START, A, B
from tests.wire.scene import refused


def history(scene, **asked):
    pages = scene.client.get_paginator("describe_spot_price_history").paginate(**asked)
    return [row for page in pages for row in page["SpotPriceHistory"]]


class TestSpotPrices:
    """E31."""

    def test_the_markets_own_with_six_decimals_and_zone_ids(self, scene):
        ids = scene.story.ec2.zone_ids()
        (row,) = history(scene, StartTime=START, InstanceTypes=["c5.large"])
        assert (row["SpotPrice"], row["ProductDescription"]) == ("0.030000", "Linux/UNIX")
        assert (row["AvailabilityZone"], row["AvailabilityZoneId"]) == (A.az, ids[A.az])

    def test_newest_first_with_the_last_before_the_start(self, scene):
        scene.wait(3600)
        rows = history(scene, StartTime=START, InstanceTypes=["m5.large"], AvailabilityZone=A.az)
        assert [row["SpotPrice"] for row in rows] == ["0.050000", "0.040000"]
        assert rows[0]["Timestamp"] > START > rows[1]["Timestamp"]

    def test_short_pages_end_with_an_empty_token(self, scene):
        asked = {"StartTime": START, "MaxResults": 3}
        first = scene.client.describe_spot_price_history(**asked)
        second = scene.client.describe_spot_price_history(**asked, NextToken=first["NextToken"])
        assert (len(first["SpotPriceHistory"]), len(second["SpotPriceHistory"])) == (3, 2)
        assert second["NextToken"] == ""
        assert len(history(scene, StartTime=START)) == 5

    def test_other_products_have_none(self, scene):
        assert history(scene, StartTime=START, ProductDescriptions=["Windows"]) == []
        both = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"]
        assert len(history(scene, StartTime=START, ProductDescriptions=both)) == 5


class TestTypes:
    def test_their_facts_are_ec2s_own(self, scene):
        named = {"Name": "instance-type", "Values": ["m5.large", "z9.nothing"]}
        (facts,) = scene.client.describe_instance_types(Filters=[named])["InstanceTypes"]
        assert (facts["VCpuInfo"]["DefaultVCpus"], facts["MemoryInfo"]["SizeInMiB"]) == (2, 8192)
        kinds = {t["InstanceType"] for t in scene.client.describe_instance_types()["InstanceTypes"]}
        assert kinds == {"m5.large", "c5.large", "m5.24xlarge"}
        with refused("InvalidInstanceType"):
            scene.client.describe_instance_types(InstanceTypes=["t3.nano"])

    @pytest.mark.parametrize(
        ("by", "places"),
        [
            ("region", {"us-east-1"}),
            ("availability-zone", {"us-east-1a", "us-east-1b", "us-east-1c"}),
            ("availability-zone-id", {"use1-az1", "use1-az2", "use1-az3"}),
        ],
    )
    def test_where_they_are_offered(self, scene, by, places):
        asked = {"LocationType": by, "Filters": [{"Name": "instance-type", "Values": ["m5.large"]}]}
        told = scene.client.describe_instance_type_offerings(**asked)["InstanceTypeOfferings"]
        assert {offering["Location"] for offering in told} == places


class TestPlaces:
    def test_zones_have_this_accounts_ids(self, scene):
        """E32."""
        zones = scene.client.describe_availability_zones()["AvailabilityZones"]
        assert {zone["ZoneName"]: zone["ZoneId"] for zone in zones} == scene.story.ec2.zone_ids()

    def test_one_default_vpc_with_a_subnet_in_each_zone(self, scene):
        (vpc,) = scene.client.describe_vpcs()["Vpcs"]
        assert vpc["IsDefault"]
        subnets = scene.client.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])[
            "Subnets"
        ]
        ids = scene.story.ec2.zone_ids()
        assert {s["AvailabilityZone"]: s["AvailabilityZoneId"] for s in subnets} == ids
        (group,) = scene.client.describe_security_groups()["SecurityGroups"]
        assert group["GroupName"] == "default"

    def test_an_instances_address_is_its_subnets(self, scene):
        addresses = [scene.see(scene.running(B.az))["PrivateIpAddress"] for _ in range(3)]
        assert len(set(addresses)) == 3
        assert all(address.startswith("172.31.16.") for address in addresses)


def test_the_price_list(scene):
    pricing = scene.other("pricing")
    linux = {"operatingSystem": "Linux", "regionCode": "us-east-1", "productFamily": "Compute Instance"}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in linux.items()]
    told = pricing.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=100)["PriceList"]
    usd = {}
    for product in map(json.loads, told):
        (term,) = product["terms"]["OnDemand"].values()
        (dimension,) = term["priceDimensions"].values()
        usd[product["product"]["attributes"]["instanceType"]] = dimension["pricePerUnit"]["USD"]
    assert usd == {kind: f"{price:.10f}" for (_, kind), price in ONDEMAND.items()}
