"""`spotguard agent install` and `uninstall`: first the report, then what would be changed, then the change."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spotguard.cli import enrolling_options as opt
from spotguard.cli.eligibility import show_report, told_report
from spotguard.cli.enrolling_look import Ask, look
from spotguard.cli.output import Failed, Json, print_json, say, warn
from spotguard.domain.agents import Executor
from spotguard.domain.errors import BadSetting

if TYPE_CHECKING:
    from spotguard.host.installing import Installer
    from spotguard.planning.agent_files import Wish
    from spotguard.planning.machine_changes import Action
    from spotguard.ports.units import Units


def install(
    *,
    server_url: opt.ServerUrl = None,
    name: opt.Name = None,
    unit: opt.Unit = None,
    start: opt.Start = None,
    stop: opt.Stop = None,
    status: opt.Status = None,
    probe: opt.Probe = None,
    state_path: opt.StatePath = None,
    token_file: opt.TokenFile = None,
    program: opt.Program = None,
    executor: opt.WhoCalls = Executor.AGENT,
    installation: opt.Tag = "spotguard",
    accept_red: opt.AcceptRed = None,
    report_only: opt.ReportOnly = False,
    without_aws: opt.WithoutAws = False,
    root: opt.Root = Path("/"),
    metadata_url: opt.MetadataUrl = opt.METADATA,
    endpoint_url: opt.EndpointUrl = None,
    yes: opt.Yes = False,
    json: Json = False,
) -> None:
    """Enrol this machine: report whether it may be moved and what points at it, say what changes, ask, change it.

    The workload goes on as it is. A red finding refuses unless it is accepted by name. Again, nothing is done twice.
    """
    if json and not (yes or report_only):
        raise BadSetting("--json asks nothing: add --yes, or --report-only")
    if unit is not None and "." not in unit:
        unit = f"{unit}.service"
    ask = Ask(root, unit, state_path, executor, installation, metadata_url, endpoint_url, without_aws)
    wish = None
    if not report_only:
        commands = {"start": start, "stop": stop, "status": status, "probe": probe}
        wish = _wish(ask, server_url, name, commands, token_file, program, yes=yes)
    _enrol(ask, wish, accept_red or (), yes=yes, json=json)


def _enrol(ask: Ask, wish: Wish | None, accepted: Sequence[str], *, yes: bool, json: bool) -> None:
    """Without a wish the report alone. `Failed` while something red is in the way."""
    from spotguard.host.installing import Installer
    from spotguard.planning.eligibility.report import in_the_way, report

    units = _units(ask.root)
    installer = Installer(ask.root, units)
    if wish is not None and wish.token is None and installer.receipt() is None:
        raise BadSetting("--token-file is needed: the client's token, by which this machine enrols")
    facts, pointers = look(ask, units)
    found = report(facts)
    red = in_the_way(found, accepted)
    if not json:
        show_report(found, pointers)
    actions: Sequence[Action] = ()
    if wish is not None and not red:
        actions = installer.plan(wish)
        _carry_out(installer, actions, "Everything is installed as wished already.", yes=yes, json=json)
    if json:
        told = told_report(found, pointers, red)
        installed = wish is not None and not red
        print_json({**told, "installed": installed, "done": list(map(str, actions))})
    if red:
        raise Failed(
            f"not enrolled: {', '.join(red)} {'is' if len(red) == 1 else 'are'} red; mend it, or "
            f"{' '.join(f'--accept-red {one}' for one in red)}"
        )


def uninstall(
    *,
    keep_journal: opt.KeepJournal = False,
    root: opt.Root = Path("/"),
    yes: opt.Yes = False,
    json: Json = False,
) -> None:
    """Leave this machine as it was found: the agent ends, its files go, the workload's unit starts at boot again.

    The workload goes on as it is. The server is not told: delete the agent there, or it will be reported as silent.
    """
    from spotguard.host.installing import Installer

    if json and not yes:
        raise BadSetting("--json asks nothing: add --yes")
    installer = Installer(root, _units(root))
    actions = installer.plan_removal(keep_journal=keep_journal)
    _carry_out(installer, actions, "Nothing of SpotGuard's is installed here.", yes=yes, json=json)
    if json:
        print_json({"done": list(map(str, actions))})


def _units(root: Path) -> Units | None:
    from spotguard.host.systemctl import Systemctl

    return Systemctl() if root == Path("/") else None


def _wish(
    ask: Ask,
    server_url: str | None,
    name: str | None,
    commands: dict[str, str | None],
    token_file: str | None,
    program: str | None,
    *,
    yes: bool,
) -> Wish:
    """`BadSetting` for what is missing or contradicts itself."""
    from spotguard.planning.agent_files import Wish

    if server_url is None or name is None:
        raise BadSetting("--server-url and --name are needed")
    if not server_url.startswith(("http://", "https://")):
        raise BadSetting("--server-url begins with https:// or http://")
    unit, state_path = ask.unit, ask.state_path
    gate = [commands[part] for part in ("start", "stop", "status")]
    if (unit is None) is (None in gate) or (unit is not None and any(gate)):
        raise BadSetting("give --unit, or --start, --stop and --status together")
    if state_path is not None and not state_path.startswith("/"):
        raise BadSetting("--state-path is an absolute path")
    if token_file == "-" and not yes:  # noqa: S105 - stdin's usual name
        raise BadSetting("the token comes from stdin, so that nobody can answer: add --yes")
    return Wish(
        server_url=server_url,
        logical_agent_id=name,
        program=(program or _own_program(),),
        unit=unit or "",
        start=_words(commands["start"]),
        stop=_words(commands["stop"]),
        status=_words(commands["status"]),
        probe=_words(commands["probe"]),
        state_path=state_path,
        metadata_url=None if ask.metadata_url == opt.METADATA else ask.metadata_url,
        calls_ec2=ask.executor is Executor.AGENT,
        token=None if token_file is None else _token(token_file),
    )


def _own_program() -> str:
    """The command that belongs to this interpreter, wherever the PATH leads."""
    beside = Path(sys.executable).with_name("spotguard")
    found = str(beside) if beside.exists() else shutil.which("spotguard")
    if found is None:
        raise BadSetting("--program is needed: there is no spotguard beside this Python, nor in the PATH")
    return str(Path(found).absolute())


def _words(command: str | None) -> list[str]:
    try:
        return shlex.split(command or "")
    except ValueError as error:
        raise BadSetting(f"a command that does not read: {command!r} ({error})") from error


def _token(file: str) -> str:
    text = (sys.stdin.read() if file == "-" else Path(file).read_text()).strip()
    if not text or len(text.split()) != 1 or not text.isprintable():
        raise BadSetting("that is no token: one word is expected")
    return text


def _carry_out(
    installer: Installer, actions: Sequence[Action], nothing: str, *, yes: bool, json: bool
) -> None:
    tell = warn if json else say
    if not actions:
        tell(nothing)
        return
    tell("This will")
    for action in actions:
        tell(f"  - {action}")
    if not yes and not typer.confirm("Go on?", err=True):
        raise Failed("nothing was changed")
    installer.carry_out(actions)
    tell("Done.")
