"""A site: one tenant's workload with its standby, kept by the shipped commands as processes of their own.

EC2 is the simulated one, over HTTP; server and agents run with the intervals of production. Each instance has an
address of its own on the loopback, on which its agent's health endpoint listens; the workload's client finds by those
who serves, as a load balancer would. State goes by rsync, from folder to folder.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from spotguard.bench.lab import market, workload, writer
from spotguard.bench.lab.folders import Store
from spotguard.bench.lab.programs import AGENT, SPOTGUARD, end_all_that_names, program
from spotguard.bench.lab.supervisor import Start, Supervisor
from spotguard.cloud.simulated.wire.server import LOOPBACK, WireServer
from spotguard.domain.errors import SpotGuardError
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.host.clock import SystemClock
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest
from spotguard.store import tenants
from spotguard.store.accounts import set_account
from spotguard.store.database import Database
from spotguard.store.tables import agents

NAME = "web"
SERVER = "server"
HEALTH_PORT = 8790
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 180.0  # with the start of everything, on however slow a machine
STATE_GIB = 1
PYTHON = [sys.executable, "-I", "-S"]
WORKLOAD, WRITER = Path(workload.__file__), Path(writer.__file__)
# returns when it has flushed and ended: then nobody holds its lock
STOP = "test ! -e {home}/pid || kill $(cat {home}/pid) 2>/dev/null; flock -w 10 {home}/running.lock true"
# what an unmodified boto3 looks for; the wire asks for no more than that there are some
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIASITE000000000000",
    "AWS_SECRET_ACCESS_KEY": "site",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_Found = TypeVar("_Found")


class NotInTime(SpotGuardError):
    """What was waited for did not come true."""


class Stopped(SpotGuardError):
    """Whoever measures has been told to stop."""


def _never() -> bool:
    return False


class Site:
    """`opened` builds it up to the moment in which its owner's instance serves and the client writes."""

    def __init__(self, root: Path, wire: WireServer, is_stopped: Callable[[], bool] = _never) -> None:
        self.root, self.wire, self._is_stopped = root, wire, is_stopped
        self.clock = SystemClock()
        self.server_url = f"http://{LOOPBACK}:{_free_port()}"
        self.db = Database.open(self._database_url)
        self.db.upgrade()
        self.client_id, self.token = self.db.write(
            lambda tx: tenants.create_client(tx, self.clock.now(), "site")
        )
        self.db.write(lambda tx: set_account(tx, self.clock.now(), self.client_id, market.REGION, None))
        (root / "client.token").write_text(self.token)
        self._owners: set[InstanceId] = set()
        self._members: list[str] = []
        self.supervisor = Supervisor(wire, root / "i", {SERVER: self._server()}, self._agent_on)
        self._writer: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def opened(cls, number: int, pause: float, is_stopped: Callable[[], bool] = _never) -> Iterator[Site]:
        """`number` tells sites of one machine apart (1 to 200); `pause`: seconds between two records; once `is_stopped`
        every wait ends with `Stopped`. Nothing is left behind.
        """
        root = Path(tempfile.mkdtemp(prefix="spotguard-site-"))
        try:
            (root / "i").mkdir()
            ec2 = market.simulated(Store(root / "c"), number)
            with WireServer(ec2, cidr=f"127.{number + 50}.0.0/16") as wire:
                site = cls(root, wire, is_stopped)
                try:
                    site._begin(pause)
                    yield site
                finally:
                    site._end()
        finally:
            shutil.rmtree(root)

    # what is looked up

    def agent(self) -> sa.Row[Any]:
        return self.db.read(lambda tx: tx.execute(sa.select(agents)).one())

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        return self.db.read(lambda tx: list(tx.execute(statement).all()))

    def acks(self, newest_bytes: int = 2_000_000) -> list[list[str]]:
        """The client's newest notes: number, nanoseconds, instance, answer."""
        with (self.root / "acks").open("rb") as notes:
            size = notes.seek(0, os.SEEK_END)
            notes.seek(max(0, size - newest_bytes))
            lines = notes.read().decode().split("\n")[:-1]
        return [line.split(maxsplit=3) for line in (lines if size <= newest_bytes else lines[1:])]

    def records(self, instance_id: str) -> list[int]:
        """The numbers on the state volume that this instance has."""
        path = self.root / "i" / instance_id / "vol" / "state" / "records"
        return [int(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []

    def overlaps(self) -> list[str]:
        """What the witness saw: the lock that only one workload can hold, and who served when."""
        noted = self.root / "overlaps"
        return noted.read_text().splitlines() if noted.exists() else []

    def until(self, comes_true: Callable[[], _Found | None], *, seconds: float, what: str) -> _Found:
        """Its value, once it is true; `NotInTime` otherwise, and `Stopped` where nobody wants to know any more."""
        end, tick = time.monotonic() + seconds, threading.Event()
        while not (found := comes_true()):
            if self._is_stopped():
                raise Stopped(f"stopped while it waited: {what}")
            if time.monotonic() > end:
                raise NotInTime(f"not within {seconds:g} s: {what}")
            tick.wait(LOOK_SECONDS)
        return found

    def call(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own server's address
            f"{self.server_url}{path}",
            json.dumps(body).encode(),
            {"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SpotGuardError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    @property
    def server_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.server_url}/health/live", timeout=2):  # noqa: S310 - the same
                return True
        except OSError:
            return False

    # how it begins and ends

    def _begin(self, pause: float) -> None:
        self.supervisor.start()
        self.await_server()
        self._install()
        words = [*PYTHON, str(WRITER), str(self.root), str(pause), str(HEALTH_PORT)]
        self._writer = subprocess.Popen(words)
        self.until((self.root / "acks").exists, seconds=PATIENCE_SECONDS, what="a record is acknowledged")

    def await_server(self) -> None:
        self.until(lambda: self.server_answers, seconds=PATIENCE_SECONDS, what="the server answers")

    def _install(self) -> None:
        """The owner's instance, on which he installs the agent, and which he hands over by its tag."""
        with self.wire.exclusively() as ec2:
            image = ec2.controls.add_public_image("the owner's image", Store(self.root / "images").blank())
            machine = ec2.run_instance(
                LaunchRequest(
                    token=ClientToken("owner"),
                    pool=market.A,
                    mode=Mode.SPOT,
                    image_id=image,
                    tags={"Name": NAME},
                    block_devices=[BlockDevice(STATE_DEVICE, STATE_GIB, delete_on_termination=True)],
                )
            )
            self._owners.add(machine.instance_id)
        self.until(self._serves, seconds=PATIENCE_SECONDS, what="the first instance serves")
        row = self.agent()
        with self.wire.exclusively() as ec2:
            ec2.controls.tag(machine.instance_id, {ADOPTED_TAG: row.id})
        wish = {
            "manualReplicaEnabled": True,
            "autoTerminateEnabled": True,
            "terminateWaitSeconds": 0,
            "allowedInstanceTypes": sorted(market.OTHER_TYPE),
        }
        self.call("POST", f"/api/client/agents/{row.id}/config", wish)

    def _serves(self) -> bool:
        rows = self.rows(sa.select(agents))
        return bool(rows) and rows[0].instance_id is not None and (self.root / "front").exists()

    def _server(self) -> Start:
        return program([*SPOTGUARD, "server"], self._environment, self.root / "server.log")

    @property
    def _database_url(self) -> str:
        return f"sqlite:///{self.root / 'site.db'}"

    @property
    def _environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SPOTGUARD_"))
        }
        return {
            **kept,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.wire.url,
            "SPOTGUARD_DATABASE_URL": self._database_url,
            "SPOTGUARD_HOST": LOOPBACK,
            "SPOTGUARD_PORT": self.server_url.rpartition(":")[2],
            "SPOTGUARD_PUBLIC_URL": self.server_url,
        }

    def _agent_on(self, instance_id: InstanceId) -> Start:
        home = self.root / "i" / instance_id
        with self.wire.exclusively() as ec2:
            self.wire.account.catch_up()  # which gives it an address of this site's own network
            address = ec2.world.machines[instance_id].private_ip
        file = home / "agent.toml"
        file.write_text(self._settings(instance_id, home, address))
        self._note_member(instance_id, address)
        return program([*AGENT, str(file), "--json-logs"], self._environment, home / "agent.log")

    def _settings(self, instance_id: InstanceId, home: Path, address: str) -> str:
        told = {
            "server_url": self.server_url,
            "logical_agent_id": NAME,
            "state_folder": str(home / "root" / "agent"),
            "start": [*PYTHON, str(WORKLOAD), str(home)],
            "stop": ["/bin/sh", "-c", STOP.format(home=home)],
            "status": ["/bin/sh", "-c", f"! flock -s -n {home}/running.lock true"],
            "health_port": HEALTH_PORT,
            "health_address": address,
            "state_path": str(home / "vol" / "state"),
            "inbox_path": str(home / "vol" / "inbox"),
            "sync_destination": f"{self.root}/i/{{instance_id}}/vol/inbox",
            "metadata_url": self.wire.imds_url(instance_id),
        }
        if instance_id in self._owners:
            told["client_token_file"] = str(self.root / "client.token")
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())

    def _note_member(self, instance_id: InstanceId, address: str) -> None:
        """As both instances stand in a load balancer's target group. The list is short: the dead answer nobody."""
        self._members = [*self._members, f"{instance_id} {address}"][-4:]
        fresh = self.root / "members.new"
        fresh.write_text("".join(f"{member}\n" for member in self._members))
        fresh.rename(self.root / "members")

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.terminate()
            self._writer.wait()
        self.supervisor.stop()
        end_all_that_names(self.root)  # what an agent had just begun is nobody's charge
        self.db.dispose()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        return int(taken.getsockname()[1])
