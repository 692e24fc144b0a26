"""Real processes on a simulated EC2: the server, and one agent on each machine that has booted.

The EC2 is in this process and served on the wire; server and agents reach it as they would reach AWS, by boto3's own
`AWS_ENDPOINT_URL` and by the address of the metadata service.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from spotguard.cloud.aws.launching import parameters
from spotguard.cloud.simulated.content import Nothing
from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.physics import STILL, UNLIMITED, Physics, fixed
from spotguard.cloud.simulated.settings import Settings
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.cloud.simulated.wire.server import WireServer
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.execution.ending import ADOPTED_TAG
from spotguard.host.clock import SystemClock
from spotguard.market.history import PriceHistory
from spotguard.market.rows import PriceRow
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest
from spotguard.ports.shape import Shape
from tests.wire.scene import client_of

REGION = "us-east-1"
A, B = Pool("m5.large", f"{REGION}a"), Pool("m5.large", f"{REGION}b")
USD = {A: Decimal("0.040000"), B: Decimal("0.036000")}
BRISK = Physics(
    pending_seconds=fixed(1),
    boot_seconds=fixed(1),
    terminate_seconds=fixed(1),
    visible_after_seconds=(0, 1),
    volume_seconds=fixed(1),
    detach_seconds=fixed(1),
    snapshot_seconds=fixed(1),
    snapshot_seconds_per_gib=0,
    image_extra_seconds=fixed(1),
    buckets=UNLIMITED,
)
TOYS = {"AWS_ACCESS_KEY_ID": "toy", "AWS_SECRET_ACCESS_KEY": "toy", "AWS_EC2_METADATA_DISABLED": "true"}
SPOTGUARD = (sys.executable, "-c", "from spotguard.cli.main import app; app()")

AGENT = """
server_url = "{server}"
logical_agent_id = "web"
state_folder = "{home}/agent"
start = ["/bin/sh", "-c", "echo $SPOTGUARD_EPOCH >> {home}/epochs; touch {home}/running"]
stop = ["/bin/sh", "-c", "test ! -e {home}/running || echo flushed >> {home}/state/log; rm -f {home}/running"]
status = ["/usr/bin/test", "-e", "{home}/running"]
state_path = "{home}/state"
inbox_path = "{home}/inbox"
sync_destination = "{machines}/{{instance_id}}/inbox"
metadata_url = "{metadata}"
"""


class Town:
    """The account, the server, the machines. `until` lets time pass and starts or kills agents as machines do."""

    def __init__(self, folder: Path, *, agent_settings: str = "") -> None:
        self.folder, self._more = folder, agent_settings
        clock = SystemClock()
        since = clock.now() - timedelta(hours=2)
        history = PriceHistory([PriceRow(pool, since, usd) for pool, usd in USD.items()], "town")
        ondemand = {(REGION, A.instance_type): Decimal("0.096")}
        settings = Settings(physics=BRISK, climate=STILL)
        self.ec2 = SimulatedEc2(clock, 1, history, ondemand, settings=settings)
        self.image = self.ec2.controls.add_public_image("debian", Nothing())
        self.wire = WireServer(self.ec2)
        self.client = client_of(self.wire.url)
        self.server = ""
        self.token = ""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self):
        self.wire.__enter__()
        return self

    def __exit__(self, *_):
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.wire.__exit__()

    # processes

    @property
    def environment(self):
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **TOYS,
            "AWS_ENDPOINT_URL": self.wire.url,
            "SPOTGUARD_DATABASE_URL": f"sqlite:///{self.folder}/spotguard.db",
            "SPOTGUARD_PASS_SECONDS": "0.5",
            "SPOTGUARD_HEARTBEAT_SECONDS": "1",
        }

    def run(self, *words: str) -> dict:
        """A command that ends, with its JSON."""
        done = subprocess.run(
            [*SPOTGUARD, *words, "--json"], env=self.environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def start(self, name: str, *words: str) -> None:
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*SPOTGUARD, *words], env=self.environment, stderr=log, stdout=log
            )

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start_server(self) -> None:
        self.start("server", "server", "--port", "0")
        self.until(self._address, seconds=20)
        self.server = f"http://{self._address()}"

    def _address(self) -> str:
        lines = [json.loads(line) for line in self.log("server").read_text().splitlines() if line[:1] == "{"]
        return next((line["address"] for line in lines if line["event"] == "listening"), "")

    # machines

    def home(self, instance_id: str) -> Path:
        return self.folder / "machines" / instance_id

    def own_machine(self, shape: Shape | None = None) -> InstanceId:
        """One that its owner launched: its workload runs, the agent was installed with the client's token."""
        request = LaunchRequest(
            token=ClientToken("owner"),
            pool=A,
            mode=Mode.SPOT,
            image_id=self.image,
            tags={"Name": "web", "team": "shop"},
            block_devices=[BlockDevice(STATE_DEVICE, size_gib=1)],
            shape=shape,
        )
        (made,) = self.client.run_instances(**parameters(request))["Instances"]
        instance_id = made["InstanceId"]
        home = self.home(instance_id)
        (home / "state").mkdir(parents=True)
        (home / "state" / "log").write_text("written by its owner\n")
        (home / "running").touch()
        (home / "token").write_text(self.token)
        return instance_id

    def hand_over(self, instance_id: str, agent_id: str) -> None:
        """Its owner's word that SpotGuard may end it."""
        with self.wire.exclusively() as ec2:
            ec2.controls.tag(InstanceId(instance_id), {ADOPTED_TAG: agent_id})

    def boot(self, instance_id: str) -> None:
        home = self.home(instance_id)
        (home / "state").mkdir(parents=True, exist_ok=True)
        settings = AGENT.format(
            server=self.server,
            home=home,
            machines=home.parent,
            metadata=self.wire.imds_url(instance_id),
        )
        if (home / "token").exists():
            settings += f'client_token_file = "{home}/token"\n'
        (home / "agent.toml").write_text(settings + self._more)
        self.start(instance_id, "agent", "--json-logs", "run", "--config", str(home / "agent.toml"))

    def serves(self, instance_id: str) -> bool:
        return (self.home(instance_id) / "running").exists()

    def state(self, instance_id: str) -> InstanceState:
        with self.wire.exclusively() as ec2:
            (view,) = ec2.describe_instances([InstanceId(instance_id)])
        return view.state

    def shown(self, instance_id: str) -> dict:
        """As DescribeInstances shows it."""
        (found,) = self.client.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return found["Instances"][0]

    # time and requests

    def until(self, comes_true, *, seconds: float):
        """What it gives when it is first true; everything that happened is shown if that takes too long."""
        deadline = time.monotonic() + seconds
        while not (found := comes_true()):
            assert time.monotonic() < deadline, self._story()
            self._live()
            threading.Event().wait(0.05)
        return found

    def _live(self) -> None:
        with self.wire.exclusively() as ec2:
            ec2.advance()
            happened = list(ec2.happenings())
        for happening in happened:
            if happening.kind is HappeningKind.BOOTED:
                self.boot(happening.instance_id)
            elif happening.kind is HappeningKind.TERMINATED and happening.instance_id in self._processes:
                self._processes[happening.instance_id].kill()

    def _story(self) -> str:
        return "\n".join(
            f"--- {name}\n{self.log(name).read_text(errors='replace')[-6000:]}" for name in self._processes
        )

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            f"{self.server}{path}",
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with contextlib.closing(urllib.request.urlopen(request, timeout=10)) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
