"""Toy credentials, and one foreign server for all tests of a process."""

import pytest

from tests.conformance import providers

TOYS = {"AWS_ACCESS_KEY_ID": "toy", "AWS_SECRET_ACCESS_KEY": "toy", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module", autouse=True)
def toy_credentials():
    with pytest.MonkeyPatch.context() as lent:
        for name, value in TOYS.items():
            lent.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def foreign():
    with providers.moto() as server:
        yield server
