"""Reading price history: what AWS writes is understood, what nobody should write is reported and left out."""

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import Pool
from spotguard.market.files import LONGEST_LINE
from spotguard.market.price_files import read_price_history
from spotguard.market.rows import BrokenLine, PriceRow
from tests.market.files import AWS_ROW, GOOD, HEADER, csv_file, everything, json_file, written

SHARED = Path(__file__).parents[3] / "shared" / "data" / "prices"
ROW = PriceRow(
    Pool("r4.2xlarge", "us-east-1e"), datetime(2021, 3, 2, 1, 39, 4, tzinfo=UTC), Decimal("0.178200")
)


class TestShapes:
    def test_csv_as_the_data_set_has_it(self, tmp_path):
        assert everything(csv_file(tmp_path, GOOD)) == ([ROW], [])

    def test_gzip_is_told_by_its_bytes_not_by_its_name(self, tmp_path):
        assert everything(csv_file(tmp_path, GOOD, packed=True)) == ([ROW], [])

    def test_two_gzip_files_in_one_as_cat_makes_them(self, tmp_path):
        first = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())
        second = gzip.compress(f"{GOOD}\n".encode())
        assert everything(written(tmp_path, first + second)) == ([ROW, ROW], [])

    @pytest.mark.parametrize("packed", [True, False])
    def test_columns_in_another_order_with_more_between_quotes_and_windows_line_ends(self, tmp_path, packed):
        text = (
            '\ufeff"SpotPrice",note,InstanceType,AvailabilityZone,Timestamp,ProductDescription\r\n'
            '"0.178200","a, b",r4.2xlarge,us-east-1e,2021-03-02 01:39:04+00:00,Linux/UNIX (Amazon VPC)\r\n'
        )
        assert everything(written(tmp_path, text, packed=packed)) == ([ROW], [])

    def test_two_files_after_each_other_repeat_the_header(self, tmp_path):
        assert everything(csv_file(tmp_path, GOOD, HEADER, GOOD)) == ([ROW, ROW], [])

    @pytest.mark.parametrize("indent", [None, 4])
    def test_the_answer_of_the_aws_command_line(self, tmp_path, indent):
        assert everything(json_file(tmp_path, {"SpotPriceHistory": [AWS_ROW]}, indent=indent)) == ([ROW], [])

    def test_pages_with_tokens_short_or_empty(self, tmp_path):
        """E31: pages may be short, an empty token ends them."""
        pages = [
            {"NextToken": "more==", "SpotPriceHistory": [AWS_ROW]},
            {"SpotPriceHistory": [], "NextToken": ""},
        ]
        path = written(tmp_path, "\n".join(json.dumps(page) for page in pages))
        assert everything(path) == ([ROW], [])

    def test_a_bare_list(self, tmp_path):
        assert everything(json_file(tmp_path, [AWS_ROW, AWS_ROW])) == ([ROW, ROW], [])

    def test_a_row_a_line(self, tmp_path):
        path = written(tmp_path, f"{json.dumps(AWS_ROW)}\n{json.dumps(AWS_ROW)}\n", packed=True)
        assert everything(path) == ([ROW, ROW], [])

    def test_progress_ends_at_the_size_of_the_file(self, tmp_path):
        path, seen = csv_file(tmp_path, *[GOOD] * 20_000), []
        for _ in read_price_history(path, lambda done, total: seen.append((done, total))):
            pass
        size = path.stat().st_size
        assert seen == sorted(seen)
        assert seen[-1] == (size, size)
        assert len(seen) > 3

    def test_a_big_json_file_loses_nothing_where_its_pieces_meet(self, tmp_path):
        rows = [{**AWS_ROW, "SpotPrice": f"{n / 1000:.3f}"} for n in range(1, 20_000)]
        found, broken = everything(json_file(tmp_path, rows))
        assert [row.usd_per_hour for row in found] == [
            Decimal(row["SpotPrice"]).quantize(Decimal("0.000001")) for row in rows
        ]
        assert broken == []


class TestHostileLines:
    """Failures (h): a poisoned line costs itself, with its number; its neighbours stay."""

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (GOOD.replace("0.178200", "NaN"), "finite"),
            (GOOD.replace("0.178200", "Infinity"), "finite"),
            (GOOD.replace("0.178200", "-0.01"), "between 0 and"),
            (GOOD.replace("0.178200", "0"), "between 0 and"),
            (GOOD.replace("0.178200", "1e308"), "between 0 and"),
            (GOOD.replace("0.178200", "0.0000001"), "millionth"),
            (GOOD.replace("0.178200", "cheap"), "not a price"),
            (GOOD.replace("04Z", "04"), "without a zone"),
            (GOOD.replace("2021", "1970"), "out of range"),
            (GOOD.replace("2021", "9999"), "out of range"),
            (GOOD.replace("2021-03-02T01:39:04Z", "yesterday"), "RFC 3339"),
            (GOOD.replace("us-east-1e", "us-east-1"), "pool id"),
            (GOOD.replace("us-east-1e", "moon"), "pool id"),
            (GOOD.replace("r4.2xlarge", "<script>"), "pool id"),
            (GOOD.replace("r4.2xlarge", ""), "pool id"),
            (GOOD.replace("Linux/UNIX", "Plan 9"), "product"),
            ("2021-03-02T01:39:04Z,r4.2xlarge", "too few columns"),
            (GOOD.replace("r4", '"r4'), "not a CSV line"),
            ("\x00\ufffd,,,,", "product"),
            ("x" * (LONGEST_LINE + 100), "too long"),
            ("x" * 3_000_000, "too long"),
        ],
        ids=lambda text: text[:40],
    )
    def test_one_bad_line_between_two_good_ones(self, tmp_path, line, reason):
        rows, broken = everything(csv_file(tmp_path, GOOD, line, GOOD))
        assert rows == [ROW, ROW]
        assert [line.line_number for line in broken] == [3]
        assert reason in broken[0].reason
        assert len(broken[0].reason) < 200

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ({**AWS_ROW, "SpotPrice": float("nan")}, "finite"),
            ({**AWS_ROW, "SpotPrice": True}, "not a text"),
            ({**AWS_ROW, "SpotPrice": None}, "missing"),
            ({**AWS_ROW, "InstanceType": 5}, "not a text"),
            ({"SpotPrice": "1"}, "missing"),
        ],
    )
    def test_one_bad_json_row_between_two_good_ones(self, tmp_path, row, reason):
        text = "\n".join(json.dumps(each) for each in (AWS_ROW, row, AWS_ROW))
        rows, (bad,) = everything(written(tmp_path, text))
        assert rows == [ROW, ROW]
        assert bad.line_number == 2
        assert reason in bad.reason

    def test_a_price_given_as_a_json_number_is_a_price(self, tmp_path):
        assert everything(json_file(tmp_path, [{**AWS_ROW, "SpotPrice": 0.1782}])) == ([ROW], [])

    def test_json_as_deep_as_the_sea(self, tmp_path):
        good = json.dumps(AWS_ROW)
        rows, broken = everything(written(tmp_path, good + '\n{"a":' * 100_000 + "\n" + "[" * 100_000 + good))
        assert rows == [ROW, ROW]
        assert broken

    def test_json_that_stops_in_the_middle_of_a_row(self, tmp_path):
        rows, broken = everything(written(tmp_path, json.dumps([AWS_ROW, AWS_ROW], indent=1)[:-40]))
        assert rows == [ROW]
        assert "cut off" in broken[0].reason
        assert broken[0].line_number == 10


@pytest.mark.parametrize("aws_form", [False, True])
def test_a_row_later_than_the_reader_takes_is_broken_and_one_at_that_moment_is_not(tmp_path, aws_form):
    path = json_file(tmp_path, [AWS_ROW]) if aws_form else csv_file(tmp_path, GOOD)
    assert everything(path, not_after=ROW.at) == ([ROW], [])
    rows, broken = everything(path, not_after=ROW.at - timedelta(seconds=1))
    assert (rows, [line.reason[:14] for line in broken]) == ([], ["a time to come"])


class TestHostileFiles:
    def test_the_wrong_header_is_refused_and_says_what_is_missing(self, tmp_path):
        with pytest.raises(
            InvalidInput, match=r"prices\.csv: the header names SpotPrice not at all, or twice"
        ):
            everything(written(tmp_path, HEADER.replace("SpotPrice", "Price") + "\n"))

    @pytest.mark.parametrize("content", ["", "\n", "PNG\x89\x00\n", '{"Reservations": []}', "[1, 2, 3]"])
    def test_something_else_altogether(self, tmp_path, content):
        with pytest.raises(InvalidInput):
            everything(written(tmp_path, content))

    def test_no_file(self, tmp_path):
        with pytest.raises(InvalidInput, match="cannot read"):
            everything(tmp_path / "absent.csv")

    def test_a_gzip_file_that_breaks_off_keeps_what_came_before(self, tmp_path):
        lines = [GOOD.replace("0.178200", f"{n / 10_000:.4f}") for n in range(1, 30_000)]
        whole = csv_file(tmp_path, *lines, packed=True).read_bytes()
        rows, broken = everything(written(tmp_path, whole[: len(whole) // 2], "half.csv.gz"))
        assert len(rows) > 10_000
        assert broken[-1].reason == "the gzip data break off"
        assert len(rows) + 1 <= broken[-1].line_number <= len(rows) + 2

    def test_a_damaged_gzip_file_is_said_to_be_damaged(self, tmp_path):
        whole = bytearray(csv_file(tmp_path, *[GOOD] * 5000, packed=True).read_bytes())
        whole[-8:-4] = bytes(4)  # the checksum
        _, broken = everything(written(tmp_path, bytes(whole), "bad.csv.gz"))
        assert "damaged gzip" in broken[-1].reason

    def test_a_gzip_bomb_opens_a_piece_at_a_time(self, tmp_path):
        bomb = written(tmp_path, HEADER.encode() + b"\n" + b"\n" * 5_000_000, packed=True)
        assert max(len(b.rows) + len(b.broken) for b in read_price_history(bomb)) == 0

    @given(
        content=st.binary(max_size=400),
        start=st.sampled_from(["", HEADER + "\n", '{"SpotPrice', "[{", "\x1f"]),
    )
    def test_any_bytes_give_rows_reports_or_one_refusal(self, tmp_path_factory, content, start):
        path = written(tmp_path_factory.mktemp("any"), start.encode() + content)
        try:
            rows, broken = everything(path)
        except InvalidInput:
            return
        assert all(row.usd_per_hour > 0 and row.at.tzinfo is UTC for row in rows)
        assert all(isinstance(line, BrokenLine) and line.line_number >= 1 for line in broken)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no published price files beside the repository")
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_the_published_files_are_read_whole_and_fast(region):
    """Target: well over 150,000 rows a second; a loaded machine gets some slack."""
    for path in sorted(SHARED.glob(f"{region}_*.csv.gz")):
        with gzip.open(path, "rb") as file:
            lines = sum(1 for _ in file)
        started = time.perf_counter()
        rows, broken = everything(path)
        seconds = time.perf_counter() - started
        assert (len(rows), broken) == (lines - 1, [])
        assert len(rows) / seconds > 50_000
