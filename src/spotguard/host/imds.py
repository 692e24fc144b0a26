"""`ports.metadata.Metadata` over IMDSv2: a token first, renewed early; 401 → one new token; 404 → nothing pending.

What EC2 knows as a boot is `pendingTime` of the instance identity document: EC2 sets it whenever it starts the
instance, so a reboot keeps it, while a clone or a stopped-and-started instance has another (EC2 User Guide, "Instance
identity documents").
"""

from __future__ import annotations

import json
from typing import Any

import urllib3
from ec2_metadata import EC2Metadata

from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput, MetadataUnavailable
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import parse_mode
from spotguard.ports.metadata import Identity, InterruptionNotice, RebalanceRecommendation

ADDRESS = "http://169.254.169.254"
CALL_SECONDS = 1.0
_UNAUTHORIZED, _NOT_FOUND = 401, 404


class ImdsMetadata:
    """The metadata service of this instance. `address` is another one's in tests."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._service = _Service(address)

    def identity(self) -> Identity:
        self._service.clear_all()
        try:
            document = json.loads(self._text("dynamic/instance-identity/document"))
            return Identity(
                instance_id=InstanceId(document["instanceId"]),
                boot_id=document["pendingTime"],
                instance_type=document["instanceType"],
                az=document["availabilityZone"],
                az_id=self._service.text("meta-data/placement/availability-zone-id") or "",
                image_id=ImageId(document["imageId"]),
                mode=parse_mode(self._text("meta-data/instance-life-cycle")),
                hostname=self._text("meta-data/hostname"),
                private_ip=document["privateIp"],
                public_ip=self._service.text("meta-data/public-ipv4"),
            )
        except (ValueError, KeyError, TypeError, InvalidInput) as error:
            raise MetadataUnavailable(f"an identity that does not read: {error!r}") from error

    def user_data(self) -> str:
        return self._service.text("user-data") or ""

    def interruption_notice(self) -> InterruptionNotice | None:
        told = self._json("meta-data/spot/instance-action")
        return None if told is None else InterruptionNotice(str(told["action"]), _time(told["time"]))

    def rebalance_recommendation(self) -> RebalanceRecommendation | None:
        told = self._json("meta-data/events/recommendations/rebalance")
        return None if told is None else RebalanceRecommendation(_time(told["noticeTime"]))

    def _text(self, path: str) -> str:
        text = self._service.text(path)
        if text is None:
            raise MetadataUnavailable(f"404 for {path}")
        return text

    def _json(self, path: str) -> dict[str, Any] | None:
        text = self._service.text(path)
        if text is None:
            return None
        try:
            told = json.loads(text)
        except ValueError as error:
            raise MetadataUnavailable(f"{path} is not JSON") from error
        if not isinstance(told, dict) or not told.keys() >= _EXPECTED[path]:
            raise MetadataUnavailable(f"{path} does not say what it should")
        return told


_EXPECTED = {
    "meta-data/spot/instance-action": {"action", "time"},
    "meta-data/events/recommendations/rebalance": {"noticeTime"},
}


def _time(text: Any) -> Any:
    try:
        return parse_time(str(text))
    except InvalidInput as error:
        raise MetadataUnavailable(str(error)) from error


class _Service(EC2Metadata):
    """ec2-metadata keeps the token; the address, a short time-out and one new token after a 401 are ours."""

    def __init__(self, address: str) -> None:
        super().__init__(_BriskPool(retries=False))
        self.service_url = f"{address}/latest/"

    def text(self, path: str) -> str | None:
        """The page, or None on a 404; `MetadataUnavailable` for everything else."""
        try:
            answer = self._answer(path)
            if answer.status == _UNAUTHORIZED:
                self.clear_all()
                answer = self._answer(path)
        except urllib3.exceptions.HTTPError as error:
            self.clear_all()
            raise MetadataUnavailable(f"{path}: {error}") from error
        if answer.status == _NOT_FOUND:
            return None
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise MetadataUnavailable(f"{answer.status} for {path}")
        return str(answer.data.decode("utf-8", "replace"))

    def _answer(self, path: str) -> urllib3.BaseHTTPResponse:
        self._ensure_token_is_fresh()
        return self._pool_manager.request(
            "GET", f"{self.service_url}{path}", headers={"X-aws-ec2-metadata-token": self._token or ""}
        )


class _BriskPool(urllib3.PoolManager):
    """Every call has one second, the token's too: signals are asked for every second."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> Any:  # type: ignore[override]  # noqa: FBT001, FBT002
        return super().urlopen(method, url, redirect=False, **{**kw, "timeout": CALL_SECONDS})
