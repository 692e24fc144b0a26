"""A scene on the wire: tests.cloud's EC2 behind HTTP, an unmodified boto3 client before it."""

import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from spotguard.cloud.simulated.settings import Settings
from spotguard.cloud.simulated.wire.server import WireServer
from tests.cloud.scene import QUIET, A, Scene

REGION = "us-east-1"
TAGGED = [{"Key": "spotguard:managed", "Value": "demo"}]


def client_of(url, service="ec2", key="AKIAWIRE000000000000", secret="s3cret", token=None, region=REGION):
    """As the AWS room makes one; retries off, so that a test sees every answer."""
    config = Config(retries={"max_attempts": 0}, read_timeout=5, connect_timeout=5)
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=config,
    )


@dataclass
class WireScene:
    """The story's EC2, its server and a client."""

    story: Scene
    wire: WireServer
    client: object
    _tokens: int = field(default=0)

    def other(self, service, **more):
        return client_of(self.wire.url, service, **more)

    def wait(self, seconds):
        with self.wire.exclusively():
            self.story.wait(seconds)

    def request(self, az=A.az, *, spot=True, token=None, **more):
        """Parameters of RunInstances as the AWS room sends them."""
        self._tokens += 1
        market = {"InstanceMarketOptions": {"MarketType": "spot"}} if spot else {}
        return {
            "ClientToken": token or f"token-{self._tokens}",
            "ImageId": self.story.image,
            "InstanceType": "m5.large",
            "MinCount": 1,
            "MaxCount": 1,
            "Placement": {"AvailabilityZone": az},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": TAGGED}],
            **market,
            **more,
        }

    def launch(self, az=A.az, **more):
        (instance,) = self.client.run_instances(**self.request(az, **more))["Instances"]
        return instance

    def running(self, az=A.az, **more):
        """The id of an instance that EC2 has begun to run this very second."""
        instance_id = self.launch(az, **more)["InstanceId"]
        self.wait(10)
        return instance_id

    def see(self, instance_id):
        (reservation,) = self.client.describe_instances(InstanceIds=[instance_id])["Reservations"]
        (instance,) = reservation["Instances"]
        return instance

    def control(self, verb, **asked):
        """As a test in another process does it."""
        request = urllib.request.Request(f"{self.wire.control_url}/{verb}", json.dumps(asked).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


@contextmanager
def served(settings: Settings = QUIET, **more):
    story = Scene(settings)
    with WireServer(story.ec2, **more) as wire:
        yield WireScene(story, wire, client_of(wire.url))


@contextmanager
def refused(code, status=None):
    """EC2 says this code, with this status."""
    with pytest.raises(ClientError) as caught:
        yield
    said = caught.value.response
    assert said["Error"]["Code"] == code, said
    if status is not None:
        assert said["ResponseMetadata"]["HTTPStatusCode"] == status
