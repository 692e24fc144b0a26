"""`spotguard agent`: the process beside the workload, in production."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spotguard.cli import enrolling
from spotguard.cli.sync_keys import sync_keys
from spotguard.domain.errors import BadSetting, InvalidInput

agent_app = typer.Typer(help="The agent beside the workload.", no_args_is_help=False)


agent_app.command()(enrolling.install)
agent_app.command()(enrolling.uninstall)
agent_app.command()(sync_keys)


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
        raise BadSetting("--config belongs to the agent that runs: spotguard agent run --config FILE")


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
    from spotguard.cli.agent_process import become, require_good
    from spotguard.cli.agent_settings import agent_file, load_agent_file

    before = context.parent.params if context.parent is not None else {}  # `agent --config FILE run`
    config, json_logs = config or before.get("config"), json_logs or bool(before.get("json_logs"))
    settings = load_agent_file(config)
    try:
        require_good(settings)
    except InvalidInput as error:
        raise BadSetting(f"{agent_file(config)}: {error}") from error
    become(config, json_logs=json_logs)
