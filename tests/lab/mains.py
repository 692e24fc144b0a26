"""What runs in the lab's processes: the shipped agent, server and coordinator as their commands compose them, in peril.

The parts are put together by the same functions as in production (`cli.agent_process.agent_of`, `compose.plane_on`,
`cli.serve`); what differs is the intervals, which are shorter, and the ports, which may kill the process.
"""

import multiprocessing
import os
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from spotguard.api.settings import ApiSettings
from spotguard.bench.lab import workload
from spotguard.cli.agent_process import agent_of, guard, settings_of
from spotguard.cli.agent_settings import AgentFile
from spotguard.cli.serve import coordinate, serve
from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.compose import clouds_of, coordinator_settings, plane_on
from spotguard.config import Settings
from spotguard.domain.agents import Autonomy
from spotguard.execution.old_half import Limits
from spotguard.telemetry import configure_logging
from spotguard.wire.agent import Intervals
from tests.lab.peril import Peril, PerilousDatabase, perilous_cloud, perilous_ports

INSTALLATION = "lab"
WORKLOAD = Path(workload.__file__)
# returns when it has flushed and ended: then nobody holds its lock
STOP = "test ! -e {home}/pid || kill $(cat {home}/pid) 2>/dev/null; flock -w 10 {home}/running.lock true"
PYTHON = [sys.executable, "-I", "-S"]


CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.lab.mains", "tests.lab.preload"])


class CallsEc2(StrEnum):
    """How an agent does. The process between costs two seconds of a core at each start, hence the short way."""

    NEVER = "never"
    IN_PROCESS = "in-process"
    THROUGH_A_CHILD = "child"  # as shipped


@dataclass(frozen=True)
class Pace:
    """The lab's intervals in seconds, shorter than production's so that a move takes seconds, not minutes."""

    heartbeat: float = 0.4
    look_again: float = 0.3
    coordinator_pass: float = 0.3
    orphans: float = 10.0
    lease: float = 3.0


@dataclass(frozen=True)
class Place:
    """Where everything of a lab is: given to each of its processes."""

    root: Path
    server_port: int
    wire_url: str
    region: str
    pace: Pace = Pace()

    @property
    def server_url(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def database_url(self):
        return f"sqlite:///{self.root / 'lab.db'}"

    @property
    def peril(self):
        return Peril(self.root)

    def home(self, instance_id):
        return self.root / "i" / instance_id


def agent_main(place, instance_id, name, client_token_file, ec2):
    """One instance's agent."""
    home = place.home(instance_id)
    _settle(place, home / "agent.log")
    file = agent_file(place, instance_id, name, client_token_file, ec2)
    configure_logging(file.log_level, json_lines=True)
    told = replace(settings_of(file), limits=Limits(look_again=place.pace.look_again))

    def in_peril(ports):
        ports = replace(
            ports, state_on_root=None, state_volumes=None
        )  # its volume is a folder, which this machine has on its own root
        if ec2 is CallsEc2.IN_PROCESS:
            ports = replace(ports, cloud=AwsCloud(Account(place.region)))
        return perilous_ports(ports, place.peril)

    with agent_of(file, told, in_peril) as agent:
        guard(agent)


def agent_file(place, instance_id, name, client_token_file, ec2):
    home = place.home(instance_id)
    return AgentFile(
        server_url=place.server_url,
        logical_agent_id=name,
        client_token_file=client_token_file,
        state_folder=home / "root" / "agent",
        start=[*PYTHON, str(WORKLOAD), str(home)],
        stop=["sh", "-c", STOP.format(home=home)],
        status=["sh", "-c", f"! flock -s -n {home}/running.lock true"],
        state_path=home / "vol" / "state",
        inbox_path=home / "vol" / "inbox",
        sync_destination=f"{place.root}/i/{{instance_id}}/vol/inbox",
        metadata_url=f"{place.wire_url}/imds/{instance_id}",
        calls_ec2=ec2 is not CallsEc2.NEVER,
    )


def started(target, *arguments):
    """How a process with this main function is started."""

    def start():
        process = CONTEXT.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process

    return start


def server_main(place):
    """The API, without a coordinator."""
    _settle(place, place.root / "server.log")
    serve(settings_at(place), lambda _settings: _plane(place), with_coordinator=False)


def coordinator_main(place):
    _settle(place, place.root / "coordinator.log")
    coordinate(_plane(place))


def settings_at(place):
    return Settings(
        database_url=place.database_url,
        host="127.0.0.1",
        port=place.server_port,
        public_url=place.server_url,
        installation=INSTALLATION,
        pass_seconds=place.pace.coordinator_pass,
    )


def _plane(place):
    settings = settings_at(place)
    configure_logging("info", json_lines=True)
    database = PerilousDatabase.open(settings.database_url)
    database.peril = place.peril
    clouds = clouds_of(database)
    beat = Intervals(place.pace.heartbeat, 60, 1, 25)
    return plane_on(
        settings,
        database,
        lambda client: in_peril(clouds(client), place.peril),
        clouds.traffic,
        api=ApiSettings(
            new_agent_autonomy=Autonomy.AUTO,
            intervals=beat,
            rate_limits=None,
            lease_seconds=place.pace.lease,
        ),
        told=replace(coordinator_settings(settings), orphans_seconds=place.pace.orphans),
    )


@cache
def in_peril(cloud, peril):
    """The same cloud gives the same one: who asks remembers by it what he has fetched."""
    return None if cloud is None else perilous_cloud(cloud, peril)


def _settle(place, path):
    """The process that all are forked from has the environment of the first lab, and nobody's log."""
    os.environ["AWS_ENDPOINT_URL"] = place.wire_url
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
