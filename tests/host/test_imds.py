"""IMDSv2 as EC2 speaks it, over real HTTP."""

import threading
from datetime import UTC, datetime

import pytest

from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.instances import Mode
from spotguard.host.imds import ImdsMetadata
from tests.host.servers import serving

DOCUMENT = {
    "instanceId": "i-0123456789abcdef0",
    "pendingTime": "2026-01-05T10:00:00Z",
    "instanceType": "m5.large",
    "availabilityZone": "us-east-1a",
    "imageId": "ami-0123456789abcdef0",
    "privateIp": "10.0.0.4",
}
PAGES = {
    "dynamic/instance-identity/document": DOCUMENT,
    "meta-data/instance-life-cycle": b"spot",
    "meta-data/placement/availability-zone-id": b"use1-az4",
    "meta-data/hostname": b"ip-10-0-0-4.ec2.internal",
}
TOKEN_HEADER = "X-aws-ec2-metadata-token"


class Service:
    """A metadata service: tokens by PUT, pages with a token only."""

    def __init__(self, pages=PAGES):
        self.pages = dict(pages)
        self.tokens = []
        self.trouble = None

    def __call__(self, asked):
        if self.trouble is not None:
            return self.trouble
        headers = {name.lower(): value for name, value in asked.headers.items()}
        path = asked.path.removeprefix("/latest/")
        if asked.method == "PUT" and path == "api/token":
            assert int(headers[f"{TOKEN_HEADER}-ttl-seconds".lower()]) <= 21600
            self.tokens.append(f"token-{len(self.tokens)}")
            return 200, self.tokens[-1].encode()
        if headers.get(TOKEN_HEADER.lower()) not in self.tokens[-1:]:
            return 401, b""
        return (200, self.pages[path]) if path in self.pages else (404, b"")


@pytest.fixture
def service():
    answer = Service()
    with serving(answer) as server:
        answer.server = server
        yield answer


def test_who_this_machine_is(service):
    identity = ImdsMetadata(service.server.url).identity()
    assert identity.instance_id == DOCUMENT["instanceId"]
    assert identity.boot_id == DOCUMENT["pendingTime"]
    assert (identity.mode, identity.az_id, identity.public_ip) == (Mode.SPOT, "use1-az4", None)


def test_nothing_pending_is_none_and_a_notice_is_read(service):
    metadata = ImdsMetadata(service.server.url)
    assert metadata.interruption_notice() is None
    assert metadata.rebalance_recommendation() is None
    assert metadata.user_data() == ""
    at = datetime(2026, 1, 5, 12, tzinfo=UTC)
    service.pages["meta-data/spot/instance-action"] = {"action": "terminate", "time": "2026-01-05T12:00:00Z"}
    service.pages["meta-data/events/recommendations/rebalance"] = {"noticeTime": "2026-01-05T12:00:00Z"}
    assert metadata.interruption_notice().action_time == at
    assert metadata.rebalance_recommendation().notice_time == at


def test_one_token_serves_many_reads_and_one_new_one_a_401(service):
    metadata = ImdsMetadata(service.server.url)
    for _ in range(3):
        metadata.interruption_notice()
    assert len(service.tokens) == 1
    service.tokens.append("another")  # the former is over
    assert metadata.interruption_notice() is None
    assert len(service.tokens) == 3


def test_another_boot_is_seen_by_the_same_process(service):
    metadata = ImdsMetadata(service.server.url)
    metadata.identity()
    later = "2026-01-06T10:00:00Z"
    service.pages["dynamic/instance-identity/document"] = DOCUMENT | {"pendingTime": later}
    assert metadata.identity().boot_id == later


@pytest.mark.parametrize("trouble", [(503, b""), (401, b""), (500, b"")])
def test_trouble_is_not_an_answer(service, trouble):
    metadata = ImdsMetadata(service.server.url)
    metadata.interruption_notice()
    service.trouble = trouble
    with pytest.raises(MetadataUnavailable):
        metadata.interruption_notice()
    service.trouble = None
    assert metadata.interruption_notice() is None


@pytest.mark.parametrize(
    "page", [b"not json", b"[]", b'{"action": "terminate"}', {"action": "x", "time": "soon"}]
)
def test_nonsense_is_not_a_notice(service, page):
    service.pages["meta-data/spot/instance-action"] = page
    with pytest.raises(MetadataUnavailable):
        ImdsMetadata(service.server.url).interruption_notice()


@pytest.mark.parametrize("document", [b"", b"[]", {"instanceId": "i-1"}])
def test_an_identity_that_does_not_read_is_unavailable(service, document):
    service.pages["dynamic/instance-identity/document"] = document
    with pytest.raises(MetadataUnavailable):
        ImdsMetadata(service.server.url).identity()


def test_no_service_and_a_hanging_one():
    with pytest.raises(MetadataUnavailable):
        ImdsMetadata("http://127.0.0.1:1").identity()
    release = threading.Event()

    def hang(asked):
        release.wait(5)
        return 200, b""

    with serving(hang) as server:
        begun = datetime.now(UTC)
        with pytest.raises(MetadataUnavailable):
            ImdsMetadata(server.url).interruption_notice()
        assert (datetime.now(UTC) - begun).total_seconds() < 3
        release.set()
