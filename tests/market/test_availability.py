"""Availability files, advisor snapshots and facts of types: what is read, and where what is broken stands."""

from decimal import Decimal

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import Pool
from spotguard.market.advisor import read_advisor
from spotguard.market.availability import read_availability
from spotguard.market.type_facts import equivalents, is_older, read_type_facts, shipped
from tests.market.files import written

HEADER = "Timestamp,AvailabilityZone,InstanceType,Available,SpotPrice,OnDemandPrice"
UP = "2023-02-15T21:57:27Z,us-east-1a,p3.2xlarge,1,0.918,3.06"
DOWN = "2023-02-15T22:00:42Z,us-east-1a,p3.2xlarge,0,,3.06"
ADVISOR = "snapshot_date,region,os,instance_type,interruption_bucket,savings_pct"


def availability(folder, *lines, header=HEADER):
    return read_availability([written(folder, "\n".join([header, *lines]) + "\n", "a.csv")])


def test_looks_are_read_in_order_of_time(tmp_path):
    looks = availability(tmp_path, DOWN, UP).looks[Pool("p3.2xlarge", "us-east-1a")]
    assert [look.up for look in looks] == [True, False]
    assert (looks[0].spot_usd, looks[1].spot_usd) == (Decimal("0.918"), None)


def test_prices_may_be_missing_altogether(tmp_path):
    looks = availability(tmp_path, UP.rsplit(",", 2)[0], header=HEADER.rsplit(",", 2)[0]).looks
    assert looks[Pool("p3.2xlarge", "us-east-1a")][0].ondemand_usd is None


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ((UP, DOWN.replace(",0,", ",2,")), "a.csv, line 3: Available is 0 or 1"),
        ((UP, "rubbish"), "a.csv, line 3: too few columns"),
        ((UP.replace("0.918", "nan"),), "a.csv, line 2"),
        ((UP.replace("us-east-1a", "nowhere"),), "a.csv, line 2"),
        ((), "no looks"),
    ],
)
def test_what_is_broken_is_told_with_its_place(tmp_path, lines, place):
    with pytest.raises(InvalidInput, match=place):
        availability(tmp_path, *lines)


def test_a_header_without_the_columns_is_told(tmp_path):
    with pytest.raises(InvalidInput, match=r"a\.csv, line 1: the header names Available not at all"):
        availability(tmp_path, UP, header=HEADER.replace("Available,", "Free,"))


def test_snapshots_are_those_of_linux(tmp_path):
    lines = ["2021-02-10,eu-west-1,Linux,m5.large,2,70", "2021-02-10,eu-west-1,Windows,m5.large,4,70"]
    (snapshot,) = read_advisor(written(tmp_path, "\n".join([ADVISOR, *lines]) + "\n"))
    assert snapshot.buckets == {("eu-west-1", "m5.large"): 2}


def test_a_bucket_that_there_is_none_of_is_told_with_its_line(tmp_path):
    path = written(tmp_path, f"{ADVISOR}\n2021-02-10,eu-west-1,Linux,m5.large,7,70\n", "b.csv")
    with pytest.raises(InvalidInput, match=r"b\.csv, line 2: an interruption bucket is 0 to 4"):
        read_advisor(path)


def test_equivalents_have_the_vcpus_at_least_the_memory_and_the_architecture():
    types = ["m5.large", "m5a.large", "r5.large", "c5.large", "m6g.large", "m5.xlarge", "unheard.of"]
    assert equivalents(shipped(), "m5.large", types) == ["m5.large", "m5a.large", "r5.large"]
    assert equivalents(shipped(), "unheard.of", types) == ["unheard.of"]


@pytest.mark.parametrize(
    ("name", "own", "older"),
    [
        ("m1.large", "m7i.large", True),
        ("m5.large", "m7i.large", True),
        ("m5a.large", "m7i.large", False),
        ("m1.large", "m5.large", True),  # both are previous ones, m1 by four generations
        ("m6i.large", "m5.large", False),
        ("r5.large", "m5.large", False),
        ("m3.large", "m1.large", False),
        ("m1.large", "m1.large", False),
        ("unheard.of", "m7i.large", False),
    ],
)
def test_older_is_what_ec2_calls_previous_and_its_own_type_is_not(name, own, older):
    assert is_older(shipped(), name, own) is older


def test_a_file_of_the_user_tells_generations_too(tmp_path):
    head = "instance_type,vcpu,memory_gib,current"
    facts = read_type_facts(written(tmp_path, f"{head}\nm0.large,2,8,0\nm99.large,2,8,1\n"))
    assert [is_older(facts, name, "m7i.large") for name in ("m0.large", "m99.large")] == [True, False]


def test_a_file_of_the_user_adds_types_and_changes_none(tmp_path):
    path = written(tmp_path, "instance_type,vcpu,memory_gib\np2.xlarge,4,61.0\nm5.large,96,1\n")
    facts = read_type_facts(path)
    assert (facts["p2.xlarge"].vcpus, facts["p2.xlarge"].memory_mib) == (4, 62464)
    assert facts["m5.large"] == shipped()["m5.large"]
