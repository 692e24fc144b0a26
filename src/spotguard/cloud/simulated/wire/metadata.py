"""IMDSv2 over HTTP, one service for each instance under a base path of its own: `/imds/i-…/latest/…`."""

from __future__ import annotations

from typing import Any

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.imds import Answer, ImdsFault
from spotguard.cloud.simulated.wire.exchange import Reply, Request
from spotguard.domain.ids import InstanceId

PREFIX = "/imds/"
TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - the header's name
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
LONGEST_TTL = 21_600
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _WRONG_METHOD = 400, 403, 404, 405


def answer(ec2: SimulatedEc2, request: Request) -> Reply | None:
    """The service's answer; None when it never answers."""
    instance_id, _, path = request.path.removeprefix(PREFIX).partition("/latest/")
    ec2.advance()
    if InstanceId(instance_id) not in ec2.world.machines:
        return Reply(_NOT_FOUND)
    imds = ec2.imds(InstanceId(instance_id))
    if path == "api/token":
        return _told(_token(imds, request))
    if request.method != "GET":
        return Reply(_WRONG_METHOD)
    # A trailing slash means the same page.
    return _told(imds.get(path.rstrip("/"), request.header(TOKEN)))


def _token(imds: Any, request: Request) -> Answer:
    """PUT with a TTL of 1 s to 6 h; one that came through a proxy is refused (IMDSv2 User Guide)."""
    if request.method != "PUT":
        return Answer(_WRONG_METHOD)
    if request.header("X-Forwarded-For"):
        return Answer(_FORBIDDEN)
    ttl = request.header(TTL)
    if not ttl.isdecimal() or not 1 <= int(ttl) <= LONGEST_TTL:
        return Answer(_BAD_REQUEST)
    told: Answer = imds.put_token(int(ttl))
    return told


def _told(told: Answer) -> Reply | None:
    if told.status == ImdsFault.HANG:
        return None
    return Reply(told.status, told.body.encode(), "text/plain")
