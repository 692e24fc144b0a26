"""`spotguard agent install` and `uninstall`: first the report, then what would be changed, then the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spotguard.cli import enrolling_options as opt
from spotguard.cli.eligibility import show_report, told_report
from spotguard.cli.enrolling_look import Ask, look
from spotguard.cli.enrolling_wish import absent_state, read_back, require_sense, tell_doubts, wish_of
from spotguard.cli.output import Failed, Json, Yes, agreed, options_mended, print_json, say, warn
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
    dry_run: opt.DryRun = False,
    without_aws: opt.WithoutAws = False,
    root: opt.Root = Path("/"),
    metadata_url: opt.MetadataUrl = opt.METADATA,
    endpoint_url: opt.EndpointUrl = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Enrol this machine: report whether it may be moved and what points at it, say what changes, ask, change it.

    The workload goes on as it is. A red finding refuses unless it is accepted by name. Again, nothing is done twice.
    With --dry-run, and neither --server-url nor --name, the report is all.
    """
    if json and not (yes or report_only or dry_run):
        raise BadSetting("--json asks nothing: add --yes, --dry-run or --report-only")
    if unit is not None and "." not in unit:
        unit = f"{unit}.service"
    ask = Ask(root, unit, state_path, executor, installation, metadata_url, endpoint_url, without_aws)
    commands = {"start": start, "stop": stop, "status": status, "probe": probe}
    require_sense(ask, commands)
    wish = None
    if not report_only and not (dry_run and server_url is None and name is None):
        wish = wish_of(ask, server_url, name, commands, token_file, program, asks=not (yes or dry_run))
    _enrol(ask, wish, accept_red or (), _How(yes, dry_run, json))


@dataclass(frozen=True)
class _How:
    """`yes`: nobody is asked. `dry_run`: nothing is done. `as_json`: one object is printed, and lines for people go to
    stderr.
    """

    yes: bool
    dry_run: bool
    as_json: bool


def _enrol(ask: Ask, wish: Wish | None, accepted: Sequence[str], how: _How) -> None:
    """Without a wish the report alone. `Failed` while something red is in the way."""
    from spotguard.host.installing import Installer
    from spotguard.planning.eligibility.report import in_the_way, report

    units = _units(ask.root)
    installer = Installer(ask.root, units)
    if wish is not None and wish.token is None and installer.receipt() is None:
        raise BadSetting("--token-file is needed: the client's token, by which this machine enrols")
    if wish is not None:
        tell_doubts(ask.root, wish, read_back(installer, wish).inbox_path)
    elif ask.state_path is not None:
        for sentence in absent_state(ask.root, ask.state_path):
            warn(f"spotguard: {sentence}")
    facts, pointers = look(ask, units)
    found = report(facts)
    with options_mended():
        red = in_the_way(found, accepted)
    if not how.as_json:
        show_report(found, pointers)
    actions: Sequence[Action] = ()
    if wish is not None and not red:
        actions = installer.plan(wish)
        _carry_out(installer, actions, "Everything is installed as wished already.", how)
    if how.as_json:
        told = told_report(found, pointers, red)
        installed = wish is not None and not red and not how.dry_run
        print_json({**told, "installed": installed, **_told(actions, how)})
    if red:
        raise Failed(
            f"not enrolled: {', '.join(red)} {'is' if len(red) == 1 else 'are'} red; mend it, or "
            f"{' '.join(f'--accept-red {one}' for one in red)}"
        )


def uninstall(
    *,
    keep_journal: opt.KeepJournal = False,
    force: opt.Force = False,
    dry_run: opt.DryRun = False,
    root: opt.Root = Path("/"),
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Leave this machine as it was found: the agent ends, its files go, the workload's unit starts at boot again.

    The workload goes on as it is. The server is not told: delete the agent there, or it will be reported as silent.
    In the midst of something it is refused: a workload that a move has stopped would stay stopped.
    """
    from spotguard.host.installing import Installer

    if json and not (yes or dry_run):
        raise BadSetting("--json asks nothing: add --yes, or --dry-run")
    how = _How(yes, dry_run, json)
    installer = Installer(root, _units(root))
    actions = installer.plan_removal(keep_journal=keep_journal)
    if actions and not force:
        _require_rest(root)
    _carry_out(installer, actions, "Nothing of SpotGuard's is installed here.", how)
    if json:
        print_json(_told(actions, how))


def _require_rest(root: Path) -> None:
    """`Failed` while the agent has something in hand."""
    from spotguard.agent.standing import unfinished
    from spotguard.planning.agent_files import CONFIG
    from spotguard.planning.installation import STATE_FOLDER, state_folder_in

    config = root / CONFIG.lstrip("/")
    told = state_folder_in(config.read_text(errors="replace")) if config.is_file() else STATE_FOLDER
    reasons = unfinished(root / told.lstrip("/"))
    if reasons:
        raise Failed(f"nothing was changed: {'; '.join(reasons)}. Wait until that is over, or --force")


def _units(root: Path) -> Units | None:
    from spotguard.host.systemctl import Systemctl

    return Systemctl() if root == Path("/") else None


def _carry_out(installer: Installer, actions: Sequence[Action], nothing: str, how: _How) -> None:
    tell = warn if how.as_json else say
    if not actions:
        tell(nothing)
        return
    tell("This will")
    for action in actions:
        tell(f"  - {action}")
    if how.dry_run:
        tell("Nothing was changed.")
        return
    if not how.yes and not agreed():
        raise Failed("nothing was changed")
    installer.carry_out(actions)
    tell("Done.")


def _told(actions: Sequence[Action], how: _How) -> dict[str, list[str]]:
    """`would_do`: in a dry run, instead of what was done."""
    named = list(map(str, actions))
    return {"done": [], "would_do": named} if how.dry_run else {"done": named}
