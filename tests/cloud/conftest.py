"""Credentials that open nothing, so that boto3 signs what it sends to the servers of these tests."""

import pytest


@pytest.fixture(autouse=True)
def toy_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "toy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "toy")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
