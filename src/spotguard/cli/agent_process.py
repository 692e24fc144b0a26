"""`python -m spotguard.cli.agent_process [CONFIG] [--json-logs]`: the agent alone, and nothing else loaded.

`spotguard agent run` becomes this process once the settings are known to be good: the command line's own libraries
would take half of an idle agent's memory. The process id stays the same, and with it what systemd knows of it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NoReturn

if __name__ == "__main__":
    # structlog loads rich where it is installed, to draw tracebacks, which an agent never does: 5 MiB
    sys.modules["rich"] = None  # type: ignore[assignment]

from spotguard.agent.agent import Agent
from spotguard.agent.desk import Ports
from spotguard.agent.runner import Runner
from spotguard.agent.settings import AgentSettings
from spotguard.cli.agent_settings import AgentFile, load_agent_file
from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import region_of
from spotguard.host.adopting import AdoptingGate
from spotguard.host.child_cloud import ChildCloud
from spotguard.host.clock import SystemClock
from spotguard.host.command_sync import CommandSync, SyncCommands
from spotguard.host.disk import FolderDisk, alone_in, alone_on
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.health_endpoint import HealthEndpoint
from spotguard.host.imds import ImdsMetadata
from spotguard.host.link import HttpLink
from spotguard.host.nothing import NoSync
from spotguard.host.quiesce import CommandQuiesce
from spotguard.host.rsync import RsyncSync
from spotguard.host.salvage import MountedSalvage
from spotguard.host.state_mount import MountedGate, StateMount
from spotguard.host.systemd_gate import SystemdGate
from spotguard.host.term import UNKNOWN_TERM, Term
from spotguard.host.traffic import InstanceTraffic, ScriptTraffic
from spotguard.host.transport import RsyncTransport
from spotguard.host.watchdog import SystemdWatchdog
from spotguard.host.write_back import ClosingWriteBack
from spotguard.ports.traffic import Traffic
from spotguard.ports.workload import Gate, Quiesce, StateSync
from spotguard.telemetry import configure_logging, get_logger

HEALTH_SECONDS = 5.0  # between the looks at gate and probe that the health endpoint answers from
PRICE_LOOK_SECONDS = 900.0  # each look starts a process that loads boto3: a second of a small machine
JSON_LOGS = "--json-logs"
RUNTIME = Path("/run")


def become(config: Path | None, *, json_logs: bool) -> NoReturn:
    """Replace this process by the agent's. -P: nothing is imported from the folder in which it happens to run."""
    arguments = [sys.executable, "-P", "-m", __name__]
    arguments += [str(config)] if config is not None else []
    arguments += [JSON_LOGS] if json_logs else []
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, arguments)  # noqa: S606 - no shell: our own interpreter


def require_good(settings: AgentFile) -> None:
    """`InvalidInput` or `OSError` for settings with which an agent could not start."""
    require_workload(settings)
    state = settings.state_path
    if state is not None and state.is_symlink():
        raise InvalidInput(
            f"state_path: {state} is a symbolic link: name the folder itself, {state.resolve()}"
        )
    settings_of(settings)


def require_workload(settings: AgentFile) -> None:
    """`InvalidInput` for settings that contradict themselves. No file that they name is looked at."""
    workload_of(settings)
    hooks_of(settings)
    script_of(settings)


def run(config: Path | None, *, json_logs: bool) -> None:
    """Until SIGINT or SIGTERM."""
    settings = load_agent_file(config)
    configure_logging(settings.log_level, json_lines=json_logs)
    with (
        alone_on(settings.metadata_url, RUNTIME) if os.geteuid() == 0 else nullcontext(),
        agent_of(settings, settings_of(settings)) as agent,
        endpoint_of(settings, agent),
    ):
        guard(agent)


def _as_they_are(ports: Ports) -> Ports:
    return ports


@contextmanager
def agent_of(
    settings: AgentFile, told: AgentSettings, wrap: Callable[[Ports], Ports] = _as_they_are
) -> Iterator[Agent]:
    """The agent as the settings describe it, the only one here. `wrap`: a harness stands between it and the world."""
    gate, sync = workload_of(
        settings,
        lambda: agent.desk.primacy.held,
        lambda: None if agent.desk.identity is None else agent.desk.identity.instance_id,
        lambda: agent.desk.primacy.has_opened,
        lambda: None if agent.desk.enrolment is None else agent.desk.enrolment.agent_id,
    )
    hooks, script = hooks_of(settings), script_of(settings)
    with (
        alone_in(settings.state_folder),
        HttpLink(settings.server_url) as link,
        ChildCloud(lambda: region_of(agent.desk.me.az)) as children,
        closing(sync) if isinstance(sync, RsyncSync | CommandSync) else nullcontext(),
    ):
        metadata, disk = ImdsMetadata(settings.metadata_url), FolderDisk(settings.state_folder)
        cloud = children.cloud if settings.calls_ec2 else None
        traffic = InstanceTraffic(script, children.traffic if settings.calls_ec2 else None)
        salvage, mount = salvage_of(settings), mount_of(settings)
        ports = Ports(link, metadata, gate, sync, disk, cloud, SystemClock(), hooks, traffic, salvage)
        if mount is not None:
            ports = replace(
                ports,
                state_on_root=mount.is_on_root,
                state_volumes=mount.carried_by,
                state_seen=mount.seen,
                state_missing=mount.why_missing,
            )
        agent = Agent(wrap(ports), told)
        yield agent


def salvage_of(settings: AgentFile) -> MountedSalvage | None:
    return None if settings.state_path is None else MountedSalvage(Path(settings.state_path))


def mount_of(settings: AgentFile) -> StateMount | None:
    return None if settings.state_path is None else StateMount(settings.state_path, settings.state_folder)


def guard(agent: Agent) -> None:
    """Until SIGINT or SIGTERM."""
    with SystemdWatchdog() as watchdog:
        runner = Runner(agent, agent.desk.ports.clock, Random(), watchdog)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop.set())
        runner.run()


def endpoint_of(file: AgentFile, agent: Agent) -> AbstractContextManager[Any]:
    """The health endpoint, where one is configured. One that cannot listen is told, and costs nobody his agent."""
    if not file.health_port:
        return nullcontext()
    try:
        return HealthEndpoint(file.health_address, file.health_port, agent.desk.serving.tell)
    except InvalidInput as error:
        get_logger("agent").error("no health endpoint", because=str(error))
        return nullcontext()


def settings_of(file: AgentFile) -> AgentSettings:
    token = _text_of(file.client_token_file) if file.client_token_file else None
    return AgentSettings(
        logical_agent_id=file.logical_agent_id,
        client_token=token,
        price_look_seconds=PRICE_LOOK_SECONDS if file.calls_ec2 else 0.0,
        health_seconds=HEALTH_SECONDS if file.health_port else None,
        has_traffic_script=bool(file.traffic_script),
        has_probe=bool(file.probe),
    )


def _text_of(token_file: Path) -> str:
    """It may be empty: an agent that has enrolled goes by a token of its own."""
    try:
        return token_file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"client_token_file: {token_file} holds no text") from error


def workload_of(
    file: AgentFile,
    held: Callable[[], int | None] = UNKNOWN_TERM.held,
    instance: Callable[[], str | None] = UNKNOWN_TERM.instance,
    has_opened: Callable[[], bool] = UNKNOWN_TERM.has_opened,
    agent: Callable[[], str | None] = UNKNOWN_TERM.agent,
) -> tuple[Gate, StateSync]:
    """The gate and the state sync that the settings describe; `InvalidInput` when they describe none.

    `held`: the epoch that the agent here holds. `instance`: where it runs. `has_opened`: the workload, under it.
    `agent`: whose it is.
    """
    gate: Any
    write_back = ClosingWriteBack(file.state_path)
    if file.unit and (file.start or file.stop or file.status):
        raise InvalidInput("the settings name two workloads: give unit, or start, stop and status, not both")
    if file.unit:
        gate = SystemdGate(file.unit, file.probe or None, write_back=write_back)
    elif file.start and file.stop and file.status:
        commands_of_gate = GateCommands(file.start, file.stop, file.status, file.probe or None)
        gate = CommandGate(commands_of_gate, folder=file.state_folder, write_back=write_back)
    else:
        raise InvalidInput("the settings name no workload: give unit, or start, stop and status")
    commands, term = sync_commands_of(file), Term(held, gate.runs, instance, has_opened, agent)
    if commands is not None:
        by_command = CommandSync(commands, file.sync_command_seconds, term)
        return AdoptingGate(gate, by_command.adopt), by_command
    if file.state_path is None:
        return gate, NoSync()
    transport = RsyncTransport(file.sync_destination, file.sync_ssh_config)
    mount = StateMount(file.state_path, file.state_folder)
    sync = RsyncSync(file.state_path, file.inbox_path, transport, term, mount)
    return MountedGate(AdoptingGate(gate, sync.adopt), mount, sync.arrives), sync


def sync_commands_of(file: AgentFile) -> SyncCommands | None:
    """The user's commands for the state sync; `InvalidInput` for some of them, or beside `state_path`."""
    given = (file.sync_position, file.sync_push, file.sync_received, file.sync_adopt)
    if not any(given):
        return None
    if not all(given):
        raise InvalidInput("sync_position, sync_push, sync_received and sync_adopt belong together: give all")
    if file.state_path is not None:
        raise InvalidInput(
            "the settings name two state syncs: give state_path, or the sync commands, not both"
        )
    return SyncCommands(*given)


def hooks_of(file: AgentFile) -> Quiesce | None:
    """The hooks around an image; `InvalidInput` for one without the other."""
    if bool(file.quiesce) != bool(file.thaw):
        raise InvalidInput("quiesce and thaw belong together: give both or neither")
    return CommandQuiesce(file.quiesce, file.thaw, file.quiesce_seconds) if file.quiesce else None


def script_of(file: AgentFile) -> Traffic | None:
    """The user's traffic script; `InvalidInput` for one without its check."""
    if bool(file.traffic_script) != bool(file.traffic_check):
        raise InvalidInput("traffic_script and traffic_check belong together: give both or neither")
    if not file.traffic_script:
        return None
    return ScriptTraffic(file.traffic_script, file.traffic_check, file.traffic_seconds)


if __name__ == "__main__":
    named = [word for word in sys.argv[1:] if word != JSON_LOGS]
    try:
        run(Path(named[0]) if named else None, json_logs=JSON_LOGS in sys.argv)
    except (InvalidInput, OSError) as error:  # read a moment ago by whoever started this, and changed since
        sys.exit(str(error))
