"""A small world around the application: two tenants, instances that register, a clock that only we move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from spotguard.api.app import create_app
from spotguard.api.direct import DirectLink
from spotguard.api.offload import inline
from spotguard.api.settings import ApiSettings
from spotguard.domain.agents import Autonomy, Executor
from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandType, CreatedBy, Priority
from spotguard.ports.replay import Replayer
from spotguard.ports.server import Reply
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.store import commands, enrolment, tenants
from spotguard.store.database import Database

T = TypeVar("T")
REGION = "ap-south-1"
TYPE = "t3.medium"
POOL_A, POOL_B, POOL_C = (f"{TYPE}.{REGION}{letter}" for letter in "abc")


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Bell:
    """A wake-up that remembers who was called."""

    def __init__(self) -> None:
        self.coordinator_calls = 0
        self.agents: list[str] = []

    def coordinator(self) -> None:
        self.coordinator_calls += 1

    def agent(self, instance_id: str) -> None:
        self.agents.append(instance_id)


def instance_id(number: int) -> str:
    return f"i-{number:017x}"


@dataclass
class Machine:
    """A registered instance and how to speak as it."""

    world: World
    tenant: Tenant
    id: str
    az: str
    mode: str
    agent_id: str
    token: str
    reply: dict[str, Any]

    @property
    def pool(self) -> str | None:
        return f"{TYPE}.{self.az}" if self.mode == "spot" else None

    def post(self, call: str, body: Any) -> Reply:
        return self.world.link.call(
            "POST", f"/api/agents/{self.agent_id}/{call}", token=self.token, body=body
        )

    def get(self, call: str) -> Reply:
        return self.world.link.call("GET", f"/api/agents/{self.agent_id}/{call}", token=self.token)

    def heartbeat(self, **more: Any) -> Reply:
        said = {
            "status": "online",
            "instance_id": self.id,
            "mode": self.mode,
            "pool_id": self.pool,
            "destroyed": [],
        }
        return self.post("heartbeat", said | more)

    def prices(self, prices: dict[str, Any], on_demand: Any = 0.0416, **more: Any) -> Reply:
        pools = [{"id": pool, "price": price} for pool, price in prices.items()]
        return self.post("pricing-report", {"pools": pools, "on_demand_price": on_demand, **more})

    def next_command(self) -> dict[str, Any]:
        (command,) = self.get("pending-commands").body["commands"]
        return command


@dataclass
class Tenant:
    """A client and how to speak as it."""

    world: World
    id: str
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        return self.world.link.call(method, f"/api/client{path}", token=self.token, body=body)

    def get(self, path: str) -> Any:
        reply = self.call("GET", path)
        assert reply.status == 200, reply
        return reply.body

    def agent(self, machine: Machine) -> Any:
        return self.get(f"/agents/{machine.agent_id}")

    def configure(self, machine: Machine, **change: Any) -> Reply:
        return self.call("POST", f"/agents/{machine.agent_id}/config", change)


class World:
    """The application over an empty database in memory."""

    def __init__(
        self,
        autonomy: Autonomy = Autonomy.OBSERVE,
        database: Database | None = None,
        replayer: Replayer | None = None,
        **settings: Any,
    ) -> None:
        self.clock = HandClock()
        self.bell = Bell()
        self.db = database or TroubledDatabase.fresh()
        unlimited = {"rate_limits": None}  # the clock stands still: a minute never ends
        self.settings = ApiSettings(new_agent_autonomy=autonomy, **(unlimited | settings))
        self.app = create_app(
            self.db, self.clock, self.bell, settings=self.settings, offload=inline, replayer=replayer
        )
        self.link = DirectLink(self.app)
        self.machines = 0

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.db.write(work)

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.db.read(work)

    def rows(self, table: Any, *conditions: Any) -> list[Any]:
        return self.read(lambda tx: list(tx.execute(table.select().where(*conditions))))

    def ago(self, seconds: float) -> str:
        return rfc3339(self.clock.time - timedelta(seconds=seconds))

    def tenant(self, name: str = "Acme", executor: Executor = Executor.AGENT) -> Tenant:
        client_id, token = self.write(
            lambda tx: tenants.create_client(tx, self.clock.now(), name, executor=executor)
        )
        return Tenant(self, client_id, token)

    def describe(
        self, name: str = "web", *, number: int | None = None, letter: str = "a", **more: Any
    ) -> dict[str, Any]:
        """A body for register; every instance is a new one unless its number is given."""
        if number is None:
            self.machines += 1
            number = self.machines
        return {
            "logical_agent_id": name,
            "instance_id": instance_id(number),
            "instance_type": TYPE,
            "region": REGION,
            "az": f"{REGION}{letter}",
            "az_id": f"aps1-az{'abc'.index(letter) + 1}",
            "ami_id": "ami-0123456789abcdef0",
            "mode": "spot",
            "agent_version": "0.1.0",
            "hostname": f"ip-10-0-0-{number}",
            "private_ip": f"10.0.{number // 256}.{number % 256}",
            "boot_id": f"boot-{number}",
            **more,
        }

    def register(
        self, tenant: Tenant, name: str = "web", *, token: str | None = None, **more: Any
    ) -> Machine:
        said = self.describe(name, **more)
        reply = self.link.call("POST", "/api/agents/register", token=token or tenant.token, body=said)
        assert reply.status in {200, 201}, reply
        body = dict(reply.body)
        machine = Machine(
            self,
            tenant,
            said["instance_id"],
            said["az"],
            said["mode"],
            body["agent_id"],
            body["agent_token"],
            body,
        )
        if token is not None:  # launched for a move or as a standby: its first beat follows at once
            machine.heartbeat()
        return machine

    def enrolment(self, machine: Machine, **more: Any) -> str:
        return self.write(
            lambda tx: enrolment.mint(
                tx, self.clock.now(), client_id=machine.tenant.id, agent_id=machine.agent_id, **more
            )
        )

    def command(
        self, machine: Machine, kind: CommandType = CommandType.TERMINATE_INSTANCE, **more: Any
    ) -> str:
        asked = {
            "client_id": machine.tenant.id,
            "agent_id": machine.agent_id,
            "instance_id": machine.id,
            "command_type": kind,
            "priority": Priority.ENGINE,
            "created_by": CreatedBy.COORDINATOR,
            "expires_at": self.clock.now() + timedelta(hours=1),
            **more,
        }
        return self.write(lambda tx: commands.enqueue(tx, self.clock.now(), **asked))
