"""`spotguard agent`: the process beside the workload, in production."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli import enrolling

if TYPE_CHECKING:
    from spotguard.agent.agent import Agent
    from spotguard.agent.settings import AgentSettings
    from spotguard.cli.agent_settings import AgentFile
    from spotguard.ports.traffic import Traffic
    from spotguard.ports.workload import Gate, Quiesce, StateSync

HEALTH_SECONDS = 5.0  # between the looks at gate and probe that the health endpoint answers from
PRICE_LOOK_SECONDS = 900.0  # each look starts a process that loads boto3: a second of a small machine

agent_app = typer.Typer(help="The agent beside the workload.", no_args_is_help=False)


agent_app.command()(enrolling.install)
agent_app.command()(enrolling.uninstall)


@agent_app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file; default: SPOTGUARD_AGENT_CONFIG, else /etc/spotguard/agent.toml"),
    ] = None,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="one JSON object per log line")] = False,
) -> None:
    """Run the agent (the same as `spotguard agent run`)."""
    if context.invoked_subcommand is None:
        run(context, config, json_logs)
    elif context.invoked_subcommand != "run" and config is not None:
        raise typer.BadParameter("--config belongs to the agent that runs: spotguard agent run --config FILE")


@agent_app.command()
def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file; default: SPOTGUARD_AGENT_CONFIG, else /etc/spotguard/agent.toml"),
    ] = None,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="one JSON object per log line")] = False,
) -> None:
    """Guard this instance's workload until told to stop (SIGTERM, Ctrl-C). The workload is left as it is."""
    from random import Random

    from spotguard.agent.agent import Agent
    from spotguard.agent.desk import Ports
    from spotguard.agent.runner import Runner
    from spotguard.cli.agent_settings import agent_file, load_agent_file
    from spotguard.config import BadSetting
    from spotguard.domain.errors import InvalidInput
    from spotguard.domain.pools import region_of
    from spotguard.host.child_cloud import ChildCloud
    from spotguard.host.clock import SystemClock
    from spotguard.host.disk import FolderDisk
    from spotguard.host.imds import ImdsMetadata
    from spotguard.host.link import HttpLink
    from spotguard.host.traffic import InstanceTraffic
    from spotguard.host.watchdog import SystemdWatchdog
    from spotguard.telemetry import configure_logging

    before = context.parent.params if context.parent is not None else {}  # `agent --config FILE run`
    config, json_logs = config or before.get("config"), json_logs or bool(before.get("json_logs"))
    settings = load_agent_file(config)
    try:
        gate, sync = workload_of(settings)
        hooks, script = hooks_of(settings), script_of(settings)
        told = settings_of(settings)
    except InvalidInput as error:
        raise BadSetting(f"{agent_file(config)}: {error}") from error
    configure_logging(settings.log_level, json_lines=json_logs)
    clock = SystemClock()
    with (
        HttpLink(settings.server_url) as link,
        ChildCloud(lambda: region_of(agent.desk.me.az)) as children,
        SystemdWatchdog() as watchdog,
    ):
        metadata = ImdsMetadata(settings.metadata_url)
        cloud = children.cloud if settings.calls_ec2 else None
        traffic = InstanceTraffic(script, children.traffic if settings.calls_ec2 else None)
        disk = FolderDisk(settings.state_folder)
        agent = Agent(Ports(link, metadata, gate, sync, disk, cloud, clock, hooks, traffic), told)
        runner = Runner(agent, clock, Random(), watchdog)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop.set())
        with endpoint_of(settings, agent):
            runner.run()


def endpoint_of(file: AgentFile, agent: Agent) -> AbstractContextManager[Any]:
    """The health endpoint, where one is configured. One that cannot listen is told, and costs nobody his agent."""
    from spotguard.domain.errors import InvalidInput
    from spotguard.host.health_endpoint import HealthEndpoint
    from spotguard.telemetry import get_logger

    if not file.health_port:
        return nullcontext()
    try:
        return HealthEndpoint(file.health_address, file.health_port, agent.desk.serving.tell)
    except InvalidInput as error:
        get_logger("agent").error("no health endpoint", because=str(error))
        return nullcontext()


def settings_of(file: AgentFile) -> AgentSettings:
    from spotguard.agent.settings import AgentSettings

    token = file.client_token_file.read_text().strip() if file.client_token_file else None
    return AgentSettings(
        logical_agent_id=file.logical_agent_id,
        client_token=token,
        price_look_seconds=PRICE_LOOK_SECONDS if file.calls_ec2 else 0.0,
        health_seconds=HEALTH_SECONDS if file.health_port else None,
    )


def workload_of(file: AgentFile) -> tuple[Gate, StateSync]:
    """The gate and the state sync that the settings describe; `InvalidInput` when they describe none."""
    from spotguard.domain.errors import InvalidInput
    from spotguard.host.adopting import AdoptingGate
    from spotguard.host.gate import CommandGate, GateCommands, SystemdGate
    from spotguard.host.nothing import NoSync
    from spotguard.host.rsync import RsyncSync

    gate: Any
    if file.unit:
        gate = SystemdGate(file.unit, file.probe or None)
    elif file.start and file.stop and file.status:
        gate = CommandGate(GateCommands(file.start, file.stop, file.status, file.probe or None))
    else:
        raise InvalidInput("the settings name no workload: give unit, or start, stop and status")
    if file.state_path is None:
        return gate, NoSync()
    sync = RsyncSync(file.state_path, file.inbox_path, file.sync_destination)
    return AdoptingGate(gate, sync.adopt), sync


def hooks_of(file: AgentFile) -> Quiesce | None:
    """The hooks around an image; `InvalidInput` for one without the other."""
    from spotguard.domain.errors import InvalidInput
    from spotguard.host.quiesce import CommandQuiesce

    if bool(file.quiesce) != bool(file.thaw):
        raise InvalidInput("quiesce and thaw belong together: give both or neither")
    return CommandQuiesce(file.quiesce, file.thaw, file.quiesce_seconds) if file.quiesce else None


def script_of(file: AgentFile) -> Traffic | None:
    """The user's traffic script; `InvalidInput` for one without its check."""
    from spotguard.domain.errors import InvalidInput
    from spotguard.host.traffic import ScriptTraffic

    if bool(file.traffic_script) != bool(file.traffic_check):
        raise InvalidInput("traffic_script and traffic_check belong together: give both or neither")
    if not file.traffic_script:
        return None
    return ScriptTraffic(file.traffic_script, file.traffic_check, file.traffic_seconds)
