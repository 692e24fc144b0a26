"""Whether a machine would start and run on another instance type: pure, with the reasons.

What must match is what the image's kernel and boot loader were made for, and what the machine was given (E26:
architecture, virtualization, boot mode, ENA, NVMe names, network cards, memory; facts from DescribeInstanceTypes).
"""

from __future__ import annotations

from dataclasses import dataclass

XEN, NITRO = "xen", "nitro"
LEGACY_BIOS = "legacy-bios"


@dataclass(frozen=True)
class TypeFacts:
    """What DescribeInstanceTypes says of a type."""

    instance_type: str
    architectures: frozenset[str]
    virtualization: frozenset[str]
    boot_modes: frozenset[str]
    ena: str  # unsupported, supported, required
    nvme: str  # of EBS volumes: unsupported, supported, required
    memory_mib: int
    vcpus: int
    network_interfaces: int
    network_cards: int
    instance_store: bool
    spot: bool
    burstable: bool = False
    bare_metal: bool = False


@dataclass(frozen=True)
class MachineNeeds:
    """What the machine that is to be cloned is made for."""

    architecture: str = "x86_64"
    virtualization: str = "hvm"
    boot_mode: str | None = None  # the image's own; None: whatever the type gives
    ena: bool = True  # the image has the driver
    network_interfaces: int = 1
    uses_instance_store: bool = False


@dataclass(frozen=True)
class Verdict:
    """`reasons` against it; `remarks` that a person should read but that do not forbid it."""

    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not self.reasons


def judge(needs: MachineNeeds, own: TypeFacts | None, other: TypeFacts) -> Verdict:
    """Whether the machine would run on `other`; `own` is the type that it runs on, None if EC2 knows it no more."""
    reasons = (
        *_boots(needs, other),
        *_devices(needs, own, other),
        *(_room(own, other) if own is not None else ()),
    )
    return Verdict(reasons, _remarks(needs, own, other))


def why_not(
    name: str, needs: MachineNeeds | None, own: TypeFacts | None, other: TypeFacts | None
) -> str | None:
    """Why a machine is not to be put on another type; None when it fits. What is not known is never guessed."""
    if other is None:
        return f"EC2 has not told yet what {name} is"
    if needs is None:
        return f"EC2 has not told yet what this machine needs: {name} may not fit"
    return "; ".join(judge(needs, own, other).reasons) or None


def _boots(needs: MachineNeeds, other: TypeFacts) -> tuple[str, ...]:
    found: list[str] = []
    if needs.architecture not in other.architectures:
        found.append(f"it is built for {needs.architecture}; {_of(other)} is {_list(other.architectures)}")
    if needs.virtualization not in other.virtualization:
        found.append(f"it needs {needs.virtualization}; {_of(other)} offers {_list(other.virtualization)}")
    wanted = None if needs.boot_mode == "uefi-preferred" else needs.boot_mode
    if wanted is not None and other.boot_modes and wanted not in other.boot_modes:
        found.append(f"it boots with {wanted}; {_of(other)} offers {_list(other.boot_modes)}")
    return tuple(found)


def _devices(needs: MachineNeeds, own: TypeFacts | None, other: TypeFacts) -> tuple[str, ...]:
    found: list[str] = []
    if other.ena == "required" and not needs.ena:
        found.append(f"{_of(other)} needs the ENA driver, which its image does not declare")
    if needs.network_interfaces > other.network_interfaces:
        found.append(f"it has {needs.network_interfaces} network interfaces; {_of(other)} takes fewer")
    if own is not None and own.network_cards > other.network_cards:
        found.append(f"it may use {own.network_cards} network cards; {_of(other)} has {other.network_cards}")
    if own is not None and own.nvme == "unsupported" and other.nvme == "required":
        found.append(f"its disks are named without NVMe; on {_of(other)} they become /dev/nvme…")
    if needs.uses_instance_store and not other.instance_store:
        found.append(f"it uses an instance store; {_of(other)} has none")
    return tuple(found)


def _room(own: TypeFacts, other: TypeFacts) -> tuple[str, ...]:
    if other.memory_mib < own.memory_mib:
        return (f"it has {own.memory_mib} MiB of memory; {_of(other)} has {other.memory_mib}",)
    return ()


def _remarks(needs: MachineNeeds, own: TypeFacts | None, other: TypeFacts) -> tuple[str, ...]:
    found: list[str] = []
    if own is not None and other.vcpus < own.vcpus:
        found.append(f"{other.vcpus} vCPUs instead of {own.vcpus}")
    if own is not None and other.burstable and not own.burstable:
        found.append(f"{_of(other)} is burstable: sustained load is throttled or billed on top")
    if own is not None and own.nvme != other.nvme:
        found.append("the disks' device names may change: mount them by UUID")
    if own is not None and own.instance_store and not needs.uses_instance_store and not other.instance_store:
        found.append(f"the instance store of {_of(own)} is not there on {_of(other)}")
    return tuple(found)


def _of(facts: TypeFacts) -> str:
    return facts.instance_type


def _list(names: frozenset[str]) -> str:
    return " or ".join(sorted(names)) or "nothing known"
