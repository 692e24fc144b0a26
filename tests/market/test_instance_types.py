"""vCPUs and quota classes from names, held against the published facts where they lie beside the repository."""

import csv
import gzip
from pathlib import Path

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.domain.quotas import QuotaClass
from spotguard.market.instance_types import generation, quota_class, vcpus

SHARED = Path(__file__).parents[3] / "shared" / "data"
no_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="no published facts beside the repository")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("t3.medium", 2),
        ("t2.small", 1),
        ("m7g.medium", 1),
        ("m5.large", 2),
        ("m5.xlarge", 4),
        ("c6i.32xlarge", 128),
        ("c5.metal", 96),
        ("m7i.metal-48xl", 192),
        ("c4.8xlarge", 36),
        ("hpc7a.96xlarge", 192),
    ],
)
def test_a_size_tells_its_vcpus(name, count):
    assert vcpus(name) == count


@pytest.mark.parametrize(
    ("name", "number"),
    [("m1.large", 1), ("m5dn.large", 5), ("m7i-flex.large", 7), ("c8gn.large", 8), ("u-6tb1.metal", 0)],
)
def test_a_family_tells_its_generation(name, number):
    assert generation(name) == number


@pytest.mark.parametrize("name", ["m5", "m5.", "m5.huge", "zz9.metal", "M5.LARGE", "m5.large; DROP"])
def test_an_unknown_size_is_refused_not_guessed(name):
    with pytest.raises(InvalidInput):
        vcpus(name)


def test_quota_classes():
    """E8: Standard is A, C, D, H, I, M, R, T, Z; the others have quotas of their own."""
    assert [
        quota_class(f"{family}.large") for family in ("t3", "im4gn", "g5", "vt1", "inf2", "p3", "u-6tb1")
    ] == [
        QuotaClass.STANDARD,
        QuotaClass.STANDARD,
        QuotaClass.G,
        QuotaClass.G,
        QuotaClass.INF,
        QuotaClass.P,
        QuotaClass.HIGH_MEMORY,
    ]


@no_shared_data
def test_every_published_type_is_told_rightly():
    with gzip.open(SHARED / "instance_types.csv.gz", "rt") as file:
        wrong = [
            row["instance_type"]
            for row in csv.DictReader(file)
            if (vcpus(row["instance_type"]), quota_class(row["instance_type"]))
            != (int(row["vcpus"]), row["quota_class"])
        ]
    assert wrong == []


@no_shared_data
def test_retired_types_too():
    with (SHARED / "advisor" / "instance_types.csv").open() as file:
        wrong = [
            row["instance_type"]
            for row in csv.DictReader(file)
            if vcpus(row["instance_type"]) != int(row["vcpu"])
        ]
    # i3.metal: EC2 says 72; the advisor's list has the 64 of i3.16xlarge
    assert wrong == ["i3.metal"]
