"""The one door through which botocore's errors become ours (aws-facts, E7).

A code that the table does not know is a person's matter when EC2 refused (4xx), and doubtful when EC2 failed (5xx).
Capacity and throttling come with a 5xx status too: the code is looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from spotguard.domain.errors import (
    CloudError,
    Doubtful,
    InvalidInput,
    NeedsPerson,
    NotVisible,
    PoolDry,
    QuotaReached,
    Throttled,
    TokenMismatch,
)

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

Read = TypeVar("Read")
_SERVER_FAILED = 500

CODES: Mapping[type[CloudError], tuple[str, ...]] = {
    PoolDry: (
        "InsufficientCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "InsufficientVolumeCapacity",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
        "Unsupported",
    ),
    # Limits of a class of instances: the other market may have room. Limits of volumes or addresses are a person's.
    QuotaReached: (
        "InstanceLimitExceeded",
        "MaxFleetCountExceeded",
        "MaxSpotInstanceCountExceeded",
        "VcpuLimitExceeded",
    ),
    Throttled: (
        "ConcurrentSnapshotLimitExceeded",
        "EC2ThrottledException",
        "ExpiredToken",  # nothing was done; the session is renewed by the next call
        "ExpiredTokenException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SnapshotCreationPerVolumeRateExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ),
    # Only of what we make ourselves: a missing subnet, group or key is a person's matter.
    NotVisible: (
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "InvalidInstanceID.NotFound",
        "InvalidLaunchTemplateId.NotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidSnapshot.NotFound",
        "InvalidVolume.NotFound",
    ),
    TokenMismatch: ("IdempotentInstanceTerminated", "IdempotentParameterMismatch"),
    Doubtful: (
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
    ),
}

_KIND_OF = {code: kind for kind, codes in CODES.items() for code in codes}

# botocore's own errors: nothing was sent and nothing but a person helps, or the credentials could not be read just now.
_NOT_SENT = (
    "NoCredentialsError",
    "NoRegionError",
    "ParamValidationError",
    "PartialCredentialsError",
    "ProfileNotFound",
)
SILENT = frozenset(
    {"ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError", "ReadTimeoutError"}
)
"""Codes of what was waited for in vain."""
_CREDENTIALS_LATER = ("CredentialRetrievalError", "MetadataRetrievalError")


def ask(operation: Callable[..., Any], /, **parameters: Any) -> Any:
    """Call one operation of a boto3 client; nothing but a `CloudError` comes out of it."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        return operation(**parameters)
    except ResponseParserError as error:  # a torn answer; not of botocore's own tree
        raise Doubtful("UnreadableAnswer", str(error)[:200]) from error
    except ClientError as error:
        raise refusal(error) from error
    except BotoCoreError as error:
        raise silence(error) from error


def read(parse: Callable[[Any], Read], answer: Any) -> Read:
    """What an answer says; `Doubtful` for one that is not what EC2's documents promise."""
    try:
        return parse(answer)
    except (KeyError, IndexError, TypeError, ValueError, InvalidInput) as error:
        raise Doubtful("UnreadableAnswer", f"{type(error).__name__}: {error}") from error


def refusal(error: ClientError) -> CloudError:
    """What EC2 answered."""
    told: Mapping[str, Any] = error.response
    status = told.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return by_code(
        told.get("Error", {}).get("Code", ""), told.get("Error", {}).get("Message", ""), status=status
    )


def by_code(code: str, message: str = "", *, status: int = 0) -> CloudError:
    """The error of a code; EC2 prefixes some with whose fault it is."""
    plain = code.removeprefix("Server.").removeprefix("Client.")
    kind = _KIND_OF.get(plain)
    if kind is None:
        kind = Doubtful if status >= _SERVER_FAILED else NeedsPerson
    return kind(plain or f"HTTP{status}", message)


def silence(error: BotoCoreError) -> CloudError:
    """No answer, or none that could be read; the call may have worked."""
    name = type(error).__name__
    if name in _NOT_SENT:
        return NeedsPerson(name, str(error))
    if name in _CREDENTIALS_LATER:
        return Throttled(name, str(error))
    return Doubtful(name, str(error))
