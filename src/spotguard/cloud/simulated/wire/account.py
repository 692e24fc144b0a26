"""One account: what the simulator owns, and moto's backend for its surroundings.

moto keeps its state per account and process, so every server takes an account number of its own and gives it back.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from moto.core.base_backend import BackendDict
from moto.ec2.models import EC2Backend, ec2_backends
from moto.elbv2.models import elbv2_backends

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.state import Machine
from spotguard.cloud.simulated.wire.mirrors import Mirror, mirror_of
from spotguard.cloud.simulated.wire.network import lay_out
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState

Fingerprinted = tuple[str, str, str]  # call, client token, its scope

_NUMBERS = count(100_000_000_001)


class Account:
    """Everything that a request may touch; whoever touches it holds the server's lock."""

    def __init__(self, ec2: SimulatedEc2, cidr: str) -> None:
        self.ec2 = ec2
        self.number = str(next(_NUMBERS))
        self.moto: EC2Backend = ec2_backends[self.number][ec2.region]
        self.subnets = lay_out(self.moto, ec2.zone_ids(), cidr)
        self.mirrors: dict[InstanceId, Mirror] = {}
        self.facts: dict[str, dict[str, Any]] = {}  # by resource: what the simulator does not keep
        self.fingerprints: dict[Fingerprinted, str] = {}  # what was asked with it
        self.fleets: dict[str, dict[str, Any]] = {}  # by token: what the fleet answered

    def adopt(self, machine: Machine, wanted: dict[str, Any] | None = None) -> Mirror:
        """Make an instance known to moto, as `wanted` in the launch; once."""
        known = self.mirrors.get(machine.instance_id)
        if known is not None:
            return known
        mirror = mirror_of(self.moto, machine, self.subnets[machine.pool.az].id, wanted or {})
        self.mirrors[machine.instance_id] = mirror
        self.ec2.controls.address(machine.instance_id, mirror.private_ip or "", mirror.public_ip)
        return mirror

    def catch_up(self) -> None:
        """Live through what is due, and let moto see the machines as they are now."""
        self.ec2.advance()
        shown = self.ec2.world.shown
        for machine in shown.values():
            if machine.instance_id not in self.mirrors:
                self.adopt(machine)
        for instance_id in [known for known in self.mirrors if known not in shown]:
            self.mirrors.pop(instance_id).forget()
        for instance_id, mirror in self.mirrors.items():
            self._follow(mirror, shown[instance_id])

    def _follow(self, mirror: Mirror, machine: Machine) -> None:
        if machine.state is InstanceState.TERMINATED and not mirror.is_over:
            mirror.end()
            elbv2_backends[self.number][self.ec2.region].notify_terminate_instances([mirror.id])
        mirror.show(machine.state)

    def tell_addresses(self) -> None:
        """A call to moto may have moved an address: the machine and its metadata must know."""
        for instance_id, mirror in self.mirrors.items():
            if not mirror.is_over:
                self.ec2.controls.address(instance_id, mirror.private_ip or "", mirror.public_ip)

    def close(self) -> None:
        """Give moto's memory of this account back."""
        for backends in list(BackendDict._instances):  # type: ignore[misc]  # noqa: SLF001 - no door for one account
            backends.pop(self.number, None)
