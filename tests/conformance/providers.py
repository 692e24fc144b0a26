"""The providers of the Cloud port that the promises are checked on, each as a stage."""

import contextlib
import itertools
from dataclasses import replace

import boto3
from moto.server import ThreadedMotoServer

from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.cloud.promises.stage import Stage
from spotguard.cloud.simulated.physics import fixed
from spotguard.cloud.simulated.wire.server import WireServer
from spotguard.ports.cloud_calls import answered, remote
from tests.cloud.scene import EXACT, QUIET, A, B, Scene

# As in life: a fresh id is unknown for some seconds.
LIFELIKE = replace(QUIET, physics=replace(EXACT, visible_after_seconds=(0, 3), pending_seconds=fixed(5)))
_runs = itertools.count(1)


@contextlib.contextmanager
def memory():
    scene = Scene(LIFELIKE)
    yield Stage(scene.ec2, scene.wait, A, B, scene.image, f"run{next(_runs)}")


@contextlib.contextmanager
def wire():
    """The same simulator behind HTTP, unmodified boto3 before it."""
    scene = Scene(LIFELIKE)
    with WireServer(scene.ec2) as server:

        def wait(seconds):
            with server.exclusively():
                scene.wait(seconds)

        yield Stage(AwsCloud(Account(A.region, server.url)), wait, A, B, scene.image, f"run{next(_runs)}")


@contextlib.contextmanager
def lines():
    """The simulator in memory, every question and every answer as a line of JSON."""
    with memory() as stage:
        yield replace(stage, cloud=remote(lambda question: answered(stage.cloud, question)))


class Moto:
    """Somebody else's EC2: it checks that we speak the wire format, not that EC2 behaves so."""

    def __init__(self, url):
        self.cloud = AwsCloud(Account(A.region, url))
        ec2 = boto3.client("ec2", region_name=A.region, endpoint_url=url)
        images = ec2.describe_images(Owners=["amazon"])["Images"]
        self.image = next(
            i["ImageId"] for i in images if "amzn" in i["Name"] and i["Architecture"] == "x86_64"
        )

    @property
    def stage(self):
        run = f"run{next(_runs)}"
        return Stage(self.cloud, lambda _seconds: None, A, B, self.image, run, patience_seconds=5)


@contextlib.contextmanager
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Moto(f"http://{host}:{port}")
    finally:
        server.stop()
