"""The one door for AWS's errors: one test for each code that the documents name, and for each way of not answering."""

import pytest
from botocore import exceptions as told
from botocore.exceptions import ClientError

from spotguard.cloud.aws.errors import CODES, ask, by_code, refusal, silence
from spotguard.domain.errors import (
    Doubtful,
    NeedsPerson,
    NotVisible,
    PoolDry,
    QuotaReached,
    Throttled,
    TokenMismatch,
)

# aws-facts "Launching" and ec2-details E1, E7, E11: what each refusal means for its catcher
DOCUMENTED = {
    "InsufficientInstanceCapacity": PoolDry,
    "UnfulfillableCapacity": PoolDry,
    "InsufficientCapacity": PoolDry,
    "SpotMaxPriceTooLow": PoolDry,
    "Unsupported": PoolDry,
    "InsufficientFreeAddressesInSubnet": PoolDry,
    "InsufficientVolumeCapacity": PoolDry,
    "MaxSpotInstanceCountExceeded": QuotaReached,
    "VcpuLimitExceeded": QuotaReached,
    "InstanceLimitExceeded": QuotaReached,
    "MaxFleetCountExceeded": QuotaReached,
    "RequestLimitExceeded": Throttled,
    "SnapshotCreationPerVolumeRateExceeded": Throttled,
    "ConcurrentSnapshotLimitExceeded": Throttled,
    "InvalidInstanceID.NotFound": NotVisible,
    "InvalidVolume.NotFound": NotVisible,
    "InvalidSnapshot.NotFound": NotVisible,
    "InvalidAMIID.NotFound": NotVisible,
    "InvalidAMIID.Unavailable": NotVisible,
    "IdempotentParameterMismatch": TokenMismatch,
    "IdempotentInstanceTerminated": TokenMismatch,
    "InternalError": Doubtful,
    "Unavailable": Doubtful,
    "ServiceUnavailable": Doubtful,
    "UnauthorizedOperation": NeedsPerson,
    "AuthFailure": NeedsPerson,
    "OptInRequired": NeedsPerson,
    "InvalidParameterValue": NeedsPerson,
    "InvalidAMIName.Duplicate": NeedsPerson,
    "InvalidSnapshot.InUse": NeedsPerson,
    "InvalidSubnetID.NotFound": NeedsPerson,
    "InvalidVolume.ZoneMismatch": NeedsPerson,
    "IncorrectState": NeedsPerson,
    "UnsupportedOperation": NeedsPerson,
    "VolumeInUse": NeedsPerson,
    "VolumeLimitExceeded": NeedsPerson,
    "TagLimitExceeded": NeedsPerson,
}


def answered(code, status=400):
    return ClientError(
        {"Error": {"Code": code, "Message": "because"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "RunInstances",
    )


@pytest.mark.parametrize(("code", "kind"), DOCUMENTED.items())
def test_what_the_documents_say_of_a_code(code, kind):
    error = refusal(answered(code))
    assert type(error) is kind
    assert (error.code, error.detail) == (code, "because")


@pytest.mark.parametrize("code", [code for codes in CODES.values() for code in codes])
def test_every_code_has_one_meaning_whatever_the_status(code):
    """EC2 says InsufficientInstanceCapacity with 500 and RequestLimitExceeded with 503."""
    (kind,) = [kind for kind, codes in CODES.items() if code in codes]
    assert {type(refusal(answered(code, status))) for status in (400, 403, 500, 503)} == {kind}


def test_a_code_that_nobody_knows_is_a_persons_matter_when_ec2_refused_and_doubtful_when_ec2_failed():
    assert type(refusal(answered("SomethingNew", 400))) is NeedsPerson
    assert type(refusal(answered("SomethingNew", 500))) is Doubtful
    assert type(refusal(answered("", 502))) is Doubtful


@pytest.mark.parametrize("prefix", ["Server.", "Client."])
def test_whose_fault_it_is_does_not_hide_the_code(prefix):
    error = by_code(f"{prefix}InsufficientInstanceCapacity")
    assert (type(error), error.code) == (PoolDry, "InsufficientInstanceCapacity")


NO_ANSWER = [
    told.ConnectTimeoutError(endpoint_url="x"),
    told.ReadTimeoutError(endpoint_url="x"),
    told.EndpointConnectionError(endpoint_url="x"),
    told.ConnectionClosedError(endpoint_url="x"),
    told.SSLError(endpoint_url="x", error="handshake"),
    told.ProxyConnectionError(proxy_url="x"),
    told.HTTPClientError(error="reset"),
]


@pytest.mark.parametrize("error", NO_ANSWER, ids=lambda error: type(error).__name__)
def test_no_answer_is_doubt(error):
    assert type(silence(error)) is Doubtful


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (told.NoCredentialsError(), NeedsPerson),
        (told.PartialCredentialsError(provider="env", cred_var="x"), NeedsPerson),
        (told.NoRegionError(), NeedsPerson),
        (told.ParamValidationError(report="x"), NeedsPerson),
        (told.CredentialRetrievalError(provider="iam-role", error_msg="503"), Throttled),
        (told.MetadataRetrievalError(error_msg="503"), Throttled),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_never_sent_is_no_doubt(error, kind):
    assert type(silence(error)) is kind


@pytest.mark.parametrize("raised", [answered("VolumeInUse"), told.ReadTimeoutError(endpoint_url="x")])
def test_nothing_else_leaves_the_door(raised):
    def operation(**_):
        raise raised

    with pytest.raises((NeedsPerson, Doubtful)) as caught:
        ask(operation, VolumeId="vol-1")
    assert caught.value.__cause__ is raised
