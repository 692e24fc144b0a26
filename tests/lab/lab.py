"""A lab: the simulated EC2 on the wire, the shipped processes around it, a workload with its client, one tenant.

with Lab.opened(executor=Executor.AGENT) as lab:
    switch = lab.move(MoveKind.VOLUME)
    lab.until(lambda: lab.is_over(switch), seconds=30)
"""

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
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from spotguard.bench.lab import market, writer
from spotguard.bench.lab.folders import Store
from spotguard.bench.lab.supervisor import Supervisor
from spotguard.cloud.simulated.wire.server import WireServer
from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.switches import OPEN_SWITCH, MoveKind
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.host.clock import SystemClock
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest
from spotguard.store import prices, tenants
from spotguard.store.accounts import set_account
from spotguard.store.database import Database
from spotguard.store.tables import agents, switches
from tests.lab.mains import CallsEc2, Pace, Place, agent_main, coordinator_main, server_main, started

NAME = "web"
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 180.0  # with the start of everything, on however slow a machine
WRITER = Path(writer.__file__)
STATE_GIB = 1

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIALAB0000000000000",
    "AWS_SECRET_ACCESS_KEY": "lab",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What an unmodified boto3 looks for; the wire asks for no more than that there are some."""


@contextmanager
def lent(variables):
    """In the environment of this process, and of those that it starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class NotInTime(Exception):
    """What was waited for did not come true."""


class RefusedForNow(Exception):
    """The server says no: perhaps because what was asked for has begun."""


class Lab:
    """Everything of one run. `opened` builds it up to the moment in which its owner's instance serves."""

    def __init__(self, root, wire, ec2, executor, pace, calls_ec2):
        self.root, self.wire, self.ec2, self.executor = root, wire, ec2, executor
        self.clock = SystemClock()
        self.place = Place(root, free_port(), wire.url, market.REGION, pace)
        self.db = Database.open(self.place.database_url)
        self.db.upgrade()
        self.client_id, self.token = self.db.write(
            lambda tx: tenants.create_client(tx, self.clock.now(), "lab", executor=executor)
        )
        self.db.write(lambda tx: set_account(tx, self.clock.now(), self.client_id, market.REGION, None))
        self._calls_ec2 = calls_ec2 if executor is Executor.AGENT else CallsEc2.NEVER
        self.owners = {}  # instance → the file of the client's token, on which its owner has put it
        standing = {
            "server": started(server_main, self.place),
            "coordinator": started(coordinator_main, self.place),
        }
        self.supervisor = Supervisor(wire, root / "i", standing, self._agent_on)
        self._writer = None

    @classmethod
    @contextmanager
    def opened(
        cls,
        *,
        executor=Executor.AGENT,
        calls_ec2=CallsEc2.IN_PROCESS,
        pace=None,
        pause=0.01,
        seed=1,
        physics=market.SHORT,
    ):
        """`pause`: seconds between two records of the workload's client; None: there is no client."""
        root = Path(tempfile.mkdtemp(prefix="lab-"))
        (root / "i").mkdir()
        ec2 = market.simulated(Store(root / "c"), seed, physics)
        with lent(CREDENTIALS), WireServer(ec2) as wire:
            lab = cls(root, wire, ec2, executor, pace or Pace(), calls_ec2)
            try:
                lab._begin(pause)
                yield lab
            finally:
                lab._end()
        shutil.rmtree(root)

    # what its people do

    def move(self, kind, pool=None):
        """Force a switch of this kind; the switch's id."""
        serving = self.agent().instance_id
        wish = {"target": "pool", "poolId": (pool or self.elsewhere(kind)).id, "kind": kind.value}
        return self.call("POST", f"/api/client/instances/{serving}/force-switch", wish)["switchId"]

    def moved(self, kind):
        """As `move`, by somebody who asks again when the server dies in the middle of the answer."""
        before, told = self.newest_switch(), ["a move is opened"]

        def asked():
            newest = self.newest_switch()
            if newest != before:
                return newest
            try:
                return self.move(kind)
            except (OSError, RefusedForNow) as error:
                told.append(str(error))
                return None

        try:
            return self.until(asked, seconds=30)
        except NotInTime as error:
            raise NotInTime(told[-1]) from error

    def elsewhere(self, kind):
        """A volume moves within its zone, to the other type; everything else to the other zone."""
        present = parse_pool_id(self.agent().current_pool_id)
        if kind is MoveKind.VOLUME:
            return type(present)(market.OTHER_TYPE[present.instance_type], present.az)
        return market.B if present.az == market.A.az else market.A

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.place.server_url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RefusedForNow(f"{method} {path}: {error.code} {error.read().decode()}") from error

    # what is looked up

    def agent(self):
        return self.db.read(lambda tx: tx.execute(sa.select(agents)).one())

    def switch(self, switch_id):
        return self.db.read(
            lambda tx: tx.execute(sa.select(switches).where(switches.c.id == switch_id)).one()
        )

    def newest_switch(self):
        newest = sa.select(switches.c.id).order_by(switches.c.created_at.desc()).limit(1)
        return self.db.read(lambda tx: tx.execute(newest).scalar())

    def acks(self, newest_bytes=500_000):
        """The client's newest notes: `number nanoseconds instance answer` each."""
        with (self.root / "acks").open("rb") as acks:
            size = acks.seek(0, os.SEEK_END)
            acks.seek(max(0, size - newest_bytes))
            lines = acks.read().decode().split("\n")[:-1]
        return lines if size <= newest_bytes else lines[1:]

    def acknowledged(self):
        """The number of the newest acknowledged record."""
        lines = self.acks(200)
        return int(lines[-1].split()[0]) if lines else 0

    def records(self, instance_id):
        """The whole lines on the state volume that this instance has."""
        path = self.place.home(instance_id) / "vol" / "state" / "records"
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []

    def is_over(self, switch_id):
        return self.switch(switch_id).status not in OPEN_SWITCH

    def until(self, comes_true, *, seconds, what=""):
        """Its value, once it is true."""
        end, tick = time.monotonic() + seconds, threading.Event()
        while not (found := comes_true()):
            if time.monotonic() > end:
                raise NotInTime(f"not within {seconds:g} s: {what or comes_true}")
            tick.wait(LOOK_SECONDS)
        return found

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.place.server_url}/healthz", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    # how it begins and ends

    def _begin(self, pause):
        self.supervisor.start()
        self.until(self.answers, seconds=PATIENCE_SECONDS, what="the server answers")
        self._install()
        if pause is not None:
            self._writer = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WRITER), str(self.root), str(pause)]
            )
            self.until((self.root / "acks").exists, seconds=PATIENCE_SECONDS, what="a record is acknowledged")

    def _agent_on(self, instance_id):
        token_file = self.owners.get(instance_id)
        return started(agent_main, self.place, instance_id, NAME, token_file, self._calls_ec2)

    def _install(self):
        """The owner's server, on which he installs the agent, and which he hands over by its tag."""
        token_file = self.root / "client.token"
        token_file.write_text(self.token)
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
            self.owners[machine.instance_id] = token_file
        self.until(self._serves, seconds=PATIENCE_SECONDS, what="the first instance serves")
        row = self.agent()
        with self.wire.exclusively() as ec2:
            ec2.controls.tag(machine.instance_id, {ADOPTED_TAG: row.id})
        self.call(
            "POST",
            f"/api/client/agents/{row.id}/config",
            {
                "autoTerminateEnabled": True,
                "terminateWaitSeconds": 0,
                "autoSwitchEnabled": False,
                "allowedInstanceTypes": sorted(market.OTHER_TYPE),
            },
        )

        self.until(self._prices_are_known, seconds=PATIENCE_SECONDS, what="the prices are fetched")

    def _prices_are_known(self):
        types = sorted({pool.instance_type for pool in market.POOLS})
        known = self.db.read(
            lambda tx: prices.current_prices(tx, self.clock.now(), self.client_id, types, market.REGION)
        )
        return len(known) == len(market.POOLS)

    def _serves(self):
        rows = self.db.read(lambda tx: tx.execute(sa.select(agents)).all())
        return bool(rows) and rows[0].instance_id is not None and (self.root / "front").exists()

    def _end(self):
        if self._writer is not None:
            self._writer.terminate()
            self._writer.wait()
        self.supervisor.stop()
        self.db.dispose()


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
