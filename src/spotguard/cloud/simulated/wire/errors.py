"""Errors as EC2 and its neighbours put them on the wire: code, HTTP status, XML.

Statuses: EC2 API Reference, "Error codes". Clients repeat a 5xx by themselves unless they are told not to.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from uuid import uuid4
from xml.sax.saxutils import escape

from spotguard.domain.errors import CloudError

SENDERS_FAULT = 400
STATUS: Mapping[str, int] = MappingProxyType(
    {
        "AuthFailure": 401,
        "OptInRequired": 401,
        "UnauthorizedOperation": 403,
        "AccessDenied": 403,
        "DryRunOperation": 412,
        "InsufficientCapacity": 500,
        "InsufficientHostCapacity": 500,
        "InsufficientInstanceCapacity": 500,
        "InsufficientVolumeCapacity": 500,
        "InternalError": 500,
        "InternalFailure": 500,
        "ServerInternal": 500,
        "UnfulfillableCapacity": 500,
        "RequestLimitExceeded": 503,
        "ServiceUnavailable": 503,
        "Unavailable": 503,
    }
)
LOST = "RequestTimeout"  # the simulator's word for an answer that never came: on the wire a cut connection


class WireError(CloudError):
    """What EC2 says and the port never does: it leaves unknown ids out and forgives a second deletion."""


def status_of(code: str) -> int:
    return STATUS.get(code, SENDERS_FAULT)


def error_body(service: str, code: str, message: str) -> bytes:
    """EC2 has an envelope of its own; the other services share the query protocol's."""
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "ec2":
        body = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{uuid4()}</RequestID></Response>"
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error>"
            f"<RequestId>{uuid4()}</RequestId></ErrorResponse>"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
