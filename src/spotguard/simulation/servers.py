"""The users' servers before SpotGuard comes: launched by their owner, on demand unless told otherwise, and running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.errors import Throttled
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, InstanceView, LaunchRequest
from spotguard.simulation.clock import VirtualClock
from spotguard.simulation.machine import Files
from spotguard.simulation.market import DemoMarket

STATE_GIB = 20
NAMES = ("web", "db", "queue", "build", "cache", "mail")


@dataclass(frozen=True)
class UserServer:
    """A server with its name, which becomes the logical agent id."""

    name: str
    instance_id: InstanceId


def launch_servers(
    ec2: SimulatedEc2,
    clock: VirtualClock,
    market: DemoMarket,
    count: int,
    at: datetime,
    *,
    mode: Mode = Mode.ONDEMAND,
    zones_of_first: Sequence[str] = (),
) -> list[UserServer]:
    """Launch them and let them boot until `at`; the usual types in turn, the zones in turn.

    `zones_of_first`: where the first ones are, one each; the others follow in turn.
    """
    image = ec2.controls.add_public_image("the owner's image", Files())
    servers: list[UserServer] = []
    for number in range(count):
        name = f"{NAMES[number % len(NAMES)]}-{number // len(NAMES) + 1}"
        kind = market.types[number % min(len(market.types), len(NAMES))]
        zones = sorted(pool.az for pool in market.history.pools() if pool.instance_type == kind)
        zone = zones_of_first[number] if number < len(zones_of_first) else zones[number % len(zones)]
        machine = _launched(
            ec2,
            clock,
            LaunchRequest(
                token=ClientToken(f"owner-{name}"),
                pool=Pool(kind, zone),
                mode=mode,
                image_id=image,
                tags={"Name": name},
                block_devices=[BlockDevice(STATE_DEVICE, STATE_GIB)],
            ),
        )
        servers.append(UserServer(name, machine.instance_id))
        # the owner's console throttles launches as everybody's
        moment = ec2.next_event_at()
        clock.move_to(moment if moment is not None and moment < at else clock.now())
    clock.move_to(at)
    states = {view.state for view in ec2.describe_instances([server.instance_id for server in servers])}
    if states != {InstanceState.RUNNING}:
        raise RuntimeError(f"the servers are not up at {at.isoformat()}: {', '.join(sorted(states))}")
    return servers


def _launched(ec2: SimulatedEc2, clock: VirtualClock, request: LaunchRequest) -> InstanceView:
    while True:
        try:
            return ec2.run_instance(request)
        except Throttled:
            clock.move_to(clock.now() + timedelta(seconds=1))
