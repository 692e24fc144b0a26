"""The users' servers before SpotGuard comes: on demand, launched by their owner, up and running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest
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
    ec2: SimulatedEc2, clock: VirtualClock, market: DemoMarket, count: int, at: datetime
) -> list[UserServer]:
    """Launch them and let them boot until `at`; the usual types in turn, the zones in turn."""
    image = ec2.controls.add_public_image("the owner's image", Files())
    servers: list[UserServer] = []
    for number in range(count):
        name = f"{NAMES[number % len(NAMES)]}-{number // len(NAMES) + 1}"
        kind = market.types[number % min(len(market.types), len(NAMES))]
        zones = sorted(pool.az for pool in market.history.pools() if pool.instance_type == kind)
        machine = ec2.run_instance(
            LaunchRequest(
                token=ClientToken(f"owner-{name}"),
                pool=Pool(kind, zones[number % len(zones)]),
                mode=Mode.ONDEMAND,
                image_id=image,
                tags={"Name": name},
                block_devices=[BlockDevice(STATE_DEVICE, STATE_GIB)],
            )
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
