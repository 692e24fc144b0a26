"""What the doctor looks at: this server, its database, its coordinators, the fleet, the clients' accounts."""

from __future__ import annotations

from dataclasses import dataclass

from spotguard.domain.agents import Executor, KillLevel
from spotguard.planning.eligibility.facts import Permission, Quota
from spotguard.planning.findings import Unseen


@dataclass(frozen=True)
class Cluster:
    """A Galera cluster, as the node that answers sees it."""

    ready: bool
    size: int


@dataclass(frozen=True)
class Space:
    """Of the disk that holds the embedded database, in bytes."""

    file_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class DatabaseFacts:
    """`ahead_seconds`: its clock minus this machine's. `cluster` None: it is none."""

    kind: str
    schema_differences: tuple[str, ...]
    miscounts: tuple[str, ...]
    cluster: Cluster | None
    ahead_seconds: float
    space: Space | Unseen


@dataclass(frozen=True)
class Standby:
    """A live replica. `lag_seconds`: age of its newest complete pass, None before the first."""

    replica_id: str
    status: str
    pool_id: str | None
    az: str | None
    lag_seconds: float | None


@dataclass(frozen=True)
class Watched:
    """A live agent. `silent_seconds` of the instance that holds its epoch, None if it was never heard."""

    name: str
    client: str
    switching: bool
    silent_seconds: float | None
    version: str | None
    gate_open: bool | None
    pool_id: str | None
    az: str | None
    standbys: tuple[Standby, ...] = ()
    hibernates: bool | None = False  # of the instance that holds its epoch; None: EC2 has not shown it
    has_image: bool = True  # one of ours is complete, or one of our launches from its own has enrolled
    state_on_root: bool = False  # its agent said so
    is_imaged: bool = False  # a complete image has its state
    unknown_types: tuple[str, ...] = ()  # allowed ones, of which nobody has told a price or what they are


@dataclass(frozen=True)
class TurnedSwitch:
    """A kill switch that stops something."""

    whose: str
    level: KillLevel
    reason: str


@dataclass(frozen=True)
class Owned:
    """A serving instance that SpotGuard did not launch. `handed_over`: its owner has tagged it for its agent."""

    agent_id: str
    resources: tuple[str, ...]  # the instance and its volumes
    handed_over: bool


@dataclass(frozen=True)
class AccountFacts:
    """A client's account. `ahead_seconds`: AWS's clock minus this machine's. `quotas`: of the classes in use.

    `has_role`: the server takes a role there. `has_credentials`: there was anything to sign a call with.
    """

    client: str
    executor: Executor
    identity: str | Unseen
    ahead_seconds: float | Unseen
    spot_role: bool | Unseen
    permissions: tuple[Permission, ...] | Unseen
    quotas: tuple[Quota | Unseen, ...]
    owned: tuple[Owned | Unseen, ...] = ()
    has_role: bool = True
    has_credentials: bool = True


@dataclass(frozen=True)
class Fleet:
    """What the database says of everything else. `without_account`: clients whose moves the server should make.
    `disabled`: agents that are not looked at, as client/name.
    """

    coordinators_alive: tuple[str, ...]
    coordinators_gone: tuple[str, ...]
    switches: tuple[TurnedSwitch, ...]
    agents: tuple[Watched, ...]
    without_account: tuple[str, ...]
    disabled: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublicUrl:
    """What launched instances are told. `loopback`: it names whatever machine reads it."""

    text: str
    loopback: bool
    encrypted: bool


@dataclass(frozen=True)
class Facts:
    """`public_url` as set, None if it is not."""

    version: str
    public_url: PublicUrl | None
    database: DatabaseFacts | Unseen
    fleet: Fleet | Unseen
    accounts: tuple[AccountFacts, ...] | Unseen
