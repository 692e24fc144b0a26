"""The report is one file that asks for nothing, says what the JSON says, and takes no markup from outside."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from spotguard.advice.charts import NARROW, WIDE, cost_chart, price_chart
from spotguard.advice.html import html
from spotguard.advice.market import of_prices
from spotguard.advice.markup import Html, element, joined
from spotguard.advice.paths import MOST_POINTS
from spotguard.advice.text import lines
from spotguard.market.history import PriceHistory
from spotguard.market.type_facts import shipped
from tests.advice.little import ONDEMAND, REGION, TYPE, A, B, advised, calm, history, priced

HOSTILE = '<script src="https://evil.example/x.js">"&\'</script>'
ALONE = {"meta", "!doctype"}


class Reader(HTMLParser):
    """Keeps tags and attributes, and complains of what is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def advice():
    return advised(priced({A: [(0, 0.03), (10, 0.06), (20, 0.03)], B: 0.04}))


def test_no_request_can_leave_the_file(advice):
    page = html(advice)
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object", "use", "image", "a", "form"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name in {"src", "href", "srcset", "action", "style"}]
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?:", page)
    assert dict(reader.attributes)["http-equiv"] == "Content-Security-Policy"


def test_what_comes_from_a_file_is_text_wherever_it_stands():
    hostile = PriceHistory((), HOSTILE)
    told = history({A: 0.03, B: 0.04})
    hostile.span, hostile._tracks = told.span, told._tracks
    page = html(advised(of_prices(hostile, ONDEMAND, REGION, TYPE, shipped())))
    reader = read(page)
    assert "script" not in reader.tags
    assert any(HOSTILE in words for words in reader.words)


def test_markup_escapes_all_but_its_own():
    inner = element("b", "1 < 2", title='"quoted" & more')
    assert inner == '<b title="&quot;quoted&quot; &amp; more">1 &lt; 2</b>'
    assert element("p", inner, " <i>") == f"<p>{inner} &lt;i&gt;</p>"
    assert joined("<", Html("<br>")) == "&lt;<br>"
    assert element("td", "x", data_label="a", class_=None) == '<td data-label="a">x</td>'


def test_it_says_the_plan_the_saving_and_what_is_not_counted(advice):
    words = " ".join(read(html(advice)).words)
    figures = advice.policy("engine")
    assert "Spot, with automatic emergencies" in words
    assert f"{figures.saving_usd.value:.2f} USD" in words
    assert f"{figures.saving_usd.low:.2f} to {figures.saving_usd.high:.2f}" in words
    assert all(remark in words for remark in advice.remarks)


def test_tables_have_captions_and_headed_rows_and_columns(advice):
    page = html(advice)
    assert page.count("<table") == page.count("<caption") >= 2
    assert page.count('scope="row"') == page.count("<tr") - page.count("<thead")
    assert 'scope="col"' in page


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_serving_line_follows_the_pool_in_which_it_served(advice, width):
    drawn = ET.fromstring(price_chart(advice.picture, width))
    serving = [node.get("d") for node in drawn.iter("path") if node.get("class") == "serving"]
    paths = {node.get("d") for node in drawn.iter("path") if node.get("class").startswith("path")}
    assert len(serving) == len(advice.picture.serving)
    assert len(paths) == 2
    flat = serving[[one.pool for one in advice.picture.serving].index(B)]
    assert len(set(re.findall(r"[V ]([\d.]+)H", flat))) == 1
    assert drawn.get("viewBox").split()[2] == f"{width:.0f}"


def test_who_served_is_told_without_gaps(advice):
    served = advice.picture.serving
    assert served[0].since == advice.picture.start
    assert served[-1].until == advice.picture.end
    assert all(one.until == after.since for one, after in pairwise(served))
    assert [one.pool for one in served] == [A, B, A]


def test_a_bar_is_as_long_as_its_policy_costs(advice):
    drawn = ET.fromstring(cost_chart(advice, WIDE))
    bars = [float(node.get("width")) for node in drawn.iter("rect")]
    costs = [one.cost_usd.value for one in advice.policies]
    costs.insert(1, advice.savings_plan_usd)
    longest = max(range(len(bars)), key=bars.__getitem__)
    for bar, cost in zip(bars, costs, strict=True):
        assert bar / bars[longest] == pytest.approx(cost / costs[longest], abs=0.01)


def test_a_path_with_many_changes_is_thinned(advice):
    steps = [(n / 100, 0.03 + 0.0001 * (n % 7)) for n in range(3000)]
    picture = advised(priced({A: steps, B: 0.04})).picture
    assert all(len(path) <= MOST_POINTS for _, path in picture.paths)


def test_the_text_is_short_and_says_the_same(advice):
    told = "\n".join(lines(advice))
    assert "ADVICE     spot, with automatic emergencies. Saves" in told
    assert len(told.splitlines()) < 60
    assert max(len(line) for line in told.splitlines()) <= 120
    assert "unknown: files of prices say nothing about capacity" in told.replace("\n           ", " ")


def test_nothing_to_do_is_said_first():
    told = "\n".join(lines(advised(calm(0.095, 0.099))))
    assert "ADVICE     stay on demand. Do nothing:" in told
    assert "no pool is recommended" in told
