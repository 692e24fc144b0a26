"""On-demand prices from a file."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.market.files import MOST_KEPT
from spotguard.market.ondemand import of_region, read_ondemand_prices
from spotguard.market.type_facts import read_type_facts
from tests.market.files import written

SHARED = Path(__file__).parents[3] / "shared" / "data" / "prices" / "ondemand_linux.csv.gz"
FILE = """region,instance_type,ondemand_usd_h,method,asof
us-east-1,m5.large,0.096,listed,2022-06-22
eu-west-1,m5.large,0.107,listed,2022-06-22
"""


def test_prices_by_region_and_type(tmp_path):
    prices, broken = read_ondemand_prices(written(tmp_path, FILE, packed=True))
    assert prices == {
        ("us-east-1", "m5.large"): Decimal("0.096"),
        ("eu-west-1", "m5.large"): Decimal("0.107"),
    }
    assert of_region(prices, "eu-west-1") == {"m5.large": Decimal("0.107")}
    assert broken == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("us-east-1,m5.large,0.2,x,y", "two prices"),
        ("us-east-1,m5.xlarge,NaN,x,y", "finite"),
        ("us-east-1,m5.xlarge,-1,x,y", "between"),
        ("us-east-1a,m5.xlarge,1,x,y", "region"),
        ("us-east-1,five,1,x,y", "instance type"),
        ("us-east-1", "too few"),
    ],
)
def test_a_broken_line_is_reported_and_the_rest_kept(tmp_path, line, reason):
    prices, (bad,) = read_ondemand_prices(written(tmp_path, FILE + line + "\n"))
    assert len(prices) == 2
    assert bad.line_number == 4
    assert reason in bad.reason


@pytest.mark.parametrize("content", ["", "a,b,c\n"])
def test_another_file_is_refused(tmp_path, content):
    with pytest.raises(InvalidInput):
        read_ondemand_prices(written(tmp_path, content))


@pytest.mark.parametrize("read", [read_ondemand_prices, read_type_facts])
def test_a_file_that_is_kept_whole_may_not_open_to_more_than_fits(tmp_path, read):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb") as bomb:
        for _ in range(MOST_KEPT // 1_000_000 + 2):
            bomb.write(b" " * 1_000_000)
    with pytest.raises(InvalidInput, match="more than 32 MiB"):
        read(path)


@pytest.mark.skipif(not SHARED.is_file(), reason="no published price files beside the repository")
def test_the_published_file():
    prices, broken = read_ondemand_prices(SHARED)
    assert (len(prices), broken) == (5385, [])
