"""An account: who could move, who is skipped and why, and in which order the rest is told."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from spotguard.advice.account import Looked, advise_account
from spotguard.advice.html_account import html_account
from spotguard.advice.market import of_prices
from spotguard.advice.movable import why_not
from spotguard.advice.told_account import lines, told_account
from spotguard.advice.wish import Wish
from spotguard.cloud.simulated.types import type_facts
from spotguard.domain.instances import Mode
from spotguard.market.type_facts import shipped
from spotguard.planning.eligibility.facts import Instance, Interface
from spotguard.planning.findings import Unseen
from tests.advice.little import NOW, ONDEMAND, REGION, TYPE, A, B, history
from tests.advice.test_html import HOSTILE, read

NOT_TOLD = Unseen("DescribeInstances does not tell")
WEB = Instance(
    instance_id="i-0web",
    instance_type=TYPE,
    az="eu-west-1a",
    mode=Mode.ONDEMAND,
    image_id="ami-1",
    architecture="x86_64",
    platform="Linux/UNIX",
    product_codes=MappingProxyType({}),
    root_device="ebs",
    private_ip="10.0.0.4",
    public_ip=None,
    elastic=False,
    vpc_id="vpc-1",
    subnet_id="subnet-1",
    group_ids=("sg-1",),
    interfaces=(Interface("eni-1", "interface"),),
    hibernates=False,
    tenancy="default",
    placement_group="",
    reservation="",
    enclave=False,
    licences=(),
    ena=True,
    credits=NOT_TOLD,
    metadata_enabled=True,
    tokens_required=True,
    hop_limit=1,
    tags=MappingProxyType({"Name": "web"}),
    protected=NOT_TOLD,
    volumes=NOT_TOLD,
)
SKIPPED = {
    "spot already": {"mode": Mode.SPOT},
    "SpotGuard has launched it": {"tags": {"spotguard:managed": "demo"}},
    "instance store": {"instance_type": "m5d.large"},
    "bare-metal": {"instance_type": "m5.metal"},
    "licence configuration arn:l": {"licences": ("arn:l",)},
    "capacity reservation cr-1": {"reservation": "cr-1"},
    "dedicated tenancy": {"tenancy": "dedicated"},
    "Windows": {"platform": "Windows"},
    "only prices of Linux/UNIX": {"platform": "Red Hat Enterprise Linux"},
    "an Auto Scaling group": {"tags": {"aws:autoscaling:groupName": "workers"}},
    "its root lies in an instance store": {"root_device": "instance-store"},
    "network interfaces": {"interfaces": (Interface("eni-1", "interface"), Interface("eni-2", "efa"))},
}


def market(region, instance_type):
    return of_prices(history({A: 0.03, B: 0.04}), ONDEMAND, region, instance_type, shipped())


def weighed(*instances, types=None):
    known = {one.instance_type: type_facts(one.instance_type) for one in instances}
    looked = Looked(REGION, tuple(instances), known if types is None else types)
    return advise_account([looked], market, Wish(), NOW, lambda: None)


@pytest.mark.parametrize(("because", "fact"), SKIPPED.items(), ids=SKIPPED)
def test_what_cannot_move_is_skipped_with_its_reason(because, fact):
    instance = replace(WEB, **fact)
    assert because in why_not(instance, type_facts(instance.instance_type))


def test_a_plain_instance_can_and_what_nobody_saw_is_not_held_against_it():
    assert why_not(WEB, type_facts(TYPE)) is None
    assert why_not(WEB, Unseen("not permitted")) is None


def test_the_ranking_is_by_saving_and_a_type_is_weighed_once():
    looked = []

    def counted(region, instance_type):
        looked.append(instance_type)
        return market(region, instance_type)

    more = [replace(WEB, instance_id=f"i-{n}") for n in (2, 1)]
    lost = replace(WEB, instance_id="i-9", instance_type="c5.large")
    types = {name: type_facts(name) for name in (TYPE, "c5.large")}
    found = advise_account([Looked(REGION, (*more, lost), types)], counted, Wish(), NOW, lambda: None)
    assert [one.instance.instance_id for one in found.ranked] == ["i-1", "i-2"]
    assert looked == [TYPE, "c5.large"]
    assert found.saving_usd == 2 * found.ranked[0].saving_usd > 0
    (skipped,) = found.skipped
    assert skipped.because == "prices.csv, eu-west-1: no type 'c5.large'; it has m5.large"


def test_json_text_and_page_tell_the_same_instances():
    found = weighed(WEB, replace(WEB, instance_id="i-0spot", mode=Mode.SPOT))
    told, text, page = told_account(found), "\n".join(lines(found)), html_account(found)
    (first,) = told["ranked"]
    assert (first["instance_id"], first["name"], first["plan"]) == ("i-0web", "web", "spot-automatic")
    assert told["workloads"][first["workload"]]["instance_type"] == TYPE
    assert told["expected_saving_usd_per_30d"] == first["expected_saving_usd_per_30d"]
    assert told["skipped"][0]["because"] == "it runs on spot already"
    for words in ("i-0web", "i-0spot", "it runs on spot already", f"{first['expected_saving_usd_per_30d']}"):
        assert words in text
        assert words in page


def test_a_name_of_the_account_is_text_in_the_page():
    reader = read(html_account(weighed(replace(WEB, tags={"Name": HOSTILE}))))
    assert "script" not in reader.tags
    assert HOSTILE in reader.words


def test_a_region_that_does_not_answer_is_told():
    dark = Looked("us-east-1", Unseen("UnauthorizedOperation"), Unseen("UnauthorizedOperation"))
    found = advise_account([dark], market, Wish(), NOW, lambda: None)
    assert told_account(found)["not_looked_at"] == [
        {"region": "us-east-1", "because": "UnauthorizedOperation"}
    ]
    assert "us-east-1: UnauthorizedOperation" in "\n".join(lines(found))
    assert "UnauthorizedOperation" in html_account(found)
