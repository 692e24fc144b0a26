"""What is known of an instance before it is enrolled: what it shows itself, what EC2 shows, what the account allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.instances import Mode
from spotguard.planning.compatibility import TypeFacts
from spotguard.planning.findings import Unseen


class DiskKind(StrEnum):
    """What a disk is made of."""

    EBS = "ebs"
    INSTANCE_STORE = "instance-store"
    OTHER = "other"


@dataclass(frozen=True)
class Disk:
    """A disk with all that lies on it. `mounted_at`: paths, `[SWAP]` for swap."""

    name: str
    kind: DiskKind
    mounted_at: tuple[str, ...] = ()


@dataclass(frozen=True)
class FstabEntry:
    """A line of /etc/fstab: what is mounted, and where. `at_boot` false: `noauto`, somebody mounts it later."""

    spec: str
    path: str
    at_boot: bool = True


@dataclass(frozen=True)
class Database:
    """A data directory. `replicated` None: nothing tells."""

    engine: str
    folder: str
    running: bool
    replicated: bool | None = None


@dataclass(frozen=True)
class StoppedWith:
    """A unit that systemd stops with the workload's. `started_by`: what has it started without that one."""

    name: str
    started_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """The workload's systemd unit. `starts_by`: links that start it at boot; `triggered_by`: sockets, timers, paths,
    and units whose own files have it started with them.
    """

    name: str
    exists: bool
    starts_by: tuple[str, ...] = ()
    vendor_links: tuple[str, ...] = ()  # of the distribution's own, which cannot be taken away
    triggered_by: tuple[str, ...] = ()
    stopped_with: tuple[StoppedWith, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What the machine shows of itself. `architecture` as the kernel names it."""

    architecture: str
    disks: tuple[Disk, ...] | Unseen
    fstab: tuple[FstabEntry, ...] | Unseen
    databases: tuple[Database, ...] | Unseen
    unit: Unit | Unseen
    containers: tuple[str, ...] | Unseen = ()  # engines of containers that run
    is_node: bool = False  # of a Kubernetes cluster: its kubelet runs


@dataclass(frozen=True)
class Volume:
    """An EBS volume. `key_id` of an encrypted one. `shared`: several may have it at once (Multi-Attach)."""

    volume_id: VolumeId
    device: str
    encrypted: bool
    key_id: str | None = None
    shared: bool = False


@dataclass(frozen=True)
class Interface:
    """A network interface of the instance."""

    interface_id: str
    kind: str  # interface, efa, trunk …
    secondary_ips: tuple[str, ...] = ()
    forwards: bool = False  # its source/destination check is off


@dataclass(frozen=True)
class Instance:
    """What EC2 shows of it."""

    instance_id: InstanceId
    instance_type: str
    az: str
    mode: Mode
    image_id: str
    architecture: str
    platform: str  # PlatformDetails, such as Linux/UNIX
    product_codes: Mapping[str, str]  # code → devpay or marketplace
    root_device: str  # ebs or instance-store
    private_ip: str
    public_ip: str | None
    elastic: bool  # its public address is an Elastic IP
    vpc_id: str
    subnet_id: str
    group_ids: tuple[str, ...]
    interfaces: tuple[Interface, ...]
    hibernates: bool
    tenancy: str
    placement_group: str
    reservation: str  # of capacity, targeted
    enclave: bool
    licences: tuple[str, ...]
    ena: bool
    credits: str | Unseen | None  # of a burstable type
    metadata_enabled: bool
    tokens_required: bool
    hop_limit: int
    tags: Mapping[str, str]
    protected: bool | Unseen  # from termination
    volumes: tuple[Volume, ...] | Unseen
    persistent_request: str | Unseen = ""  # the spot request that would launch it anew; empty: none
    root_name: str = ""  # RootDeviceName; empty: not told


@dataclass(frozen=True)
class Key:
    """A KMS key of one of its volumes. `granted`: to the spot service's role."""

    key_id: str
    of_aws: bool
    granted: bool | Unseen = False


@dataclass(frozen=True)
class Quota:
    """vCPUs of one class in one market. `used`: by what runs or starts now."""

    name: str
    limit: int
    used: int

    @property
    def free(self) -> int:
        return self.limit - self.used


@dataclass(frozen=True)
class Permission:
    """Whether EC2 would let us (DryRun). None: EC2 gave another answer, which `because` says.

    `on_instance`: it changes the instance or its volumes, which are its owner's until he hands them over.
    """

    action: str
    allowed: bool | None
    because: str = ""
    on_instance: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What the account holds for it. `zones`: those in which its VPC has a subnet with a free address."""

    type_facts: TypeFacts | Unseen
    keys: tuple[Key, ...] | Unseen
    spot_quota: Quota | Unseen
    ondemand_quota: Quota | Unseen
    permissions: tuple[Permission, ...] | Unseen
    zones: tuple[str, ...] | Unseen


def nothing_seen(because: str) -> Surroundings:
    unseen = Unseen(because)
    return Surroundings(unseen, unseen, unseen, unseen, unseen, unseen)


@dataclass(frozen=True)
class Facts:
    """Everything that the rules judge. `state_path`: the workload's state, where it is copied by rsync."""

    machine: Machine
    instance: Instance | Unseen
    surroundings: Surroundings
    state_path: str | None = None
    executor: Executor = Executor.AGENT
