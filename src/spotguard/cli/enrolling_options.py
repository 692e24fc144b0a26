"""The options of `spotguard agent install` and `uninstall`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spotguard.domain.agents import Executor

METADATA = "http://169.254.169.254"

ServerUrl = Annotated[str | None, typer.Option(metavar="URL", help="Address of the API, https://…")]
Name = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name of the workload, the same wherever it runs (logical_agent_id)."),
]
Unit = Annotated[str | None, typer.Option(metavar="UNIT", help="systemd unit of the workload.")]
Start = Annotated[
    str | None, typer.Option(metavar="COMMAND", help="Instead of a unit: command that starts it.")
]
Stop = Annotated[str | None, typer.Option(metavar="COMMAND", help="Command that stops and flushes it.")]
Status = Annotated[str | None, typer.Option(metavar="COMMAND", help="Command that succeeds while it runs.")]
Probe = Annotated[
    str | None, typer.Option(metavar="COMMAND", help="Command that succeeds while it is healthy.")
]
StatePath = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Folder of its state, copied to standbys by rsync.")
]
TokenFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="File with the client's token; - reads it from stdin.")
]
Program = Annotated[str | None, typer.Option(metavar="FILE", help="The spotguard to run; default: this one.")]
WhoCalls = Annotated[
    Executor,
    typer.Option(help="Who calls EC2 for this client's moves: this agent (calls_ec2), or the server."),
]
Tag = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The server's setting of this name: value of the tag spotguard:managed."
    ),
]
AcceptRed = Annotated[
    list[str] | None, typer.Option(metavar="RULE", help="Install in spite of it; may be repeated.")
]
ReportOnly = Annotated[bool, typer.Option("--report-only", help="Show the report and change nothing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be changed, and change nothing.")]
WithoutAws = Annotated[bool, typer.Option("--without-aws", help="Ask AWS nothing.")]
Root = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER",
        exists=True,
        file_okay=False,
        help="Another folder as the machine's root, an image for example: nothing is started.",
    ),
]
MetadataUrl = Annotated[str, typer.Option(metavar="URL", help="Another metadata service.")]
EndpointUrl = Annotated[str | None, typer.Option(metavar="URL", help="Another endpoint than AWS's own.")]
KeepJournal = Annotated[
    bool, typer.Option("--keep-journal", help="Leave /var/lib/spotguard: what the agent wrote down.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Also in the midst of a move, or with reports that nobody has heard.")
]
