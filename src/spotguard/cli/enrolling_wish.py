"""The agent that `spotguard agent install` is asked for, and whether it could start at all; nothing is changed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spotguard.cli import enrolling_options as opt
from spotguard.cli.output import warn
from spotguard.cli.token_file import token_in
from spotguard.domain.agents import Executor
from spotguard.domain.errors import BadSetting, InvalidInput
from spotguard.domain.ids import is_workload_name

if TYPE_CHECKING:
    from spotguard.cli.agent_settings import AgentFile
    from spotguard.cli.enrolling_look import Ask
    from spotguard.host.installing import Installer
    from spotguard.planning.agent_files import Wish

Commands = Mapping[str, str | None]
_OF_THE_GATE = ("start", "stop", "status")
_OWN_MACHINES = frozenset({"localhost", "127.0.0.1", "::1"})


def require_sense(ask: Ask, commands: Commands) -> None:
    """`BadSetting` for a workload that contradicts itself. One that is not named at all may still be looked at."""
    gate = [commands[part] is not None for part in _OF_THE_GATE]
    if (ask.unit is not None and any(gate)) or any(gate) is not all(gate):
        raise BadSetting("give --unit, or --start, --stop and --status together")
    if ask.state_path is not None and not ask.state_path.startswith("/"):
        raise BadSetting("--state-path is an absolute path")


def wish_of(
    ask: Ask,
    server_url: str | None,
    name: str | None,
    commands: Commands,
    token_file: str | None,
    program: str | None,
    *,
    asks: bool,
) -> Wish:
    """`BadSetting` for what is missing. `asks`: somebody at the terminal has to agree to it."""
    from spotguard.planning.agent_files import Wish

    if server_url is None or name is None or not name.strip():
        raise BadSetting("--server-url and --name are needed")
    if not is_workload_name(name):
        raise BadSetting(
            "--name has no invisible character, and no space at an end: the server would refuse it"
        )
    if not re.match(r"https?://[^/\s]", server_url):
        raise BadSetting("--server-url begins with https:// or http://, and names a host")
    if ask.unit is None and commands["start"] is None:
        raise BadSetting("give --unit, or --start, --stop and --status together")
    if token_file == "-" and asks:  # noqa: S105 - stdin's usual name
        raise BadSetting("the token comes from stdin, so that nobody can answer: add --yes")
    return Wish(
        server_url=server_url,
        logical_agent_id=name,
        program=(program or _own_program(),),
        unit=ask.unit or "",
        **{part: _words(command) for part, command in commands.items()},
        state_path=ask.state_path,
        metadata_url=None if ask.metadata_url == opt.METADATA else ask.metadata_url,
        calls_ec2=ask.executor is Executor.AGENT,
        token=None if token_file is None else token_in(token_file),
    )


def read_back(installer: Installer, wish: Wish) -> AgentFile:
    """The settings that would stand there, as the agent reads them; `BadSetting` when it could not start with them."""
    from spotguard.cli.agent_process import require_workload
    from spotguard.cli.agent_settings import agent_file_of
    from spotguard.planning.agent_files import CONFIG

    try:
        settings = agent_file_of(installer.settings(wish), CONFIG)
        require_workload(settings)
    except InvalidInput as error:
        raise BadSetting(
            f"the agent could not start with its settings; nothing was changed: {error}"
        ) from error
    return settings


def tell_doubts(root: Path, wish: Wish, inbox: Path) -> None:
    """`BadSetting` for what this machine does not have. Of a folder it is only said: more may come there.

    `inbox`: where passes of the state would arrive, if the machine became a standby.
    """
    missing = list(absent(root, wish))
    if missing and root == Path("/"):
        raise BadSetting("; ".join(missing))
    for sentence in missing:
        warn(f"spotguard: {sentence}")
    url = urlsplit(wish.server_url)
    if url.scheme == "http" and url.hostname not in _OWN_MACHINES:
        warn("spotguard: --server-url is not https: tokens and commands would travel in clear")
    if wish.state_path is not None and _apart(root, wish.state_path, str(inbox)):
        warn(
            f"spotguard: {wish.state_path} and {inbox} do not lie in one file system: a promoted standby could not "
            "take the state over; set inbox_path and sync_destination in agent.toml (docs/production.md)"
        )


def absent(root: Path, wish: Wish) -> Iterator[str]:
    """A sentence for each program, and for the state's folder, that is not there under the root."""
    named = {"program": wish.program, **{part: getattr(wish, part) for part in (*_OF_THE_GATE, "probe")}}
    for option, words in named.items():
        if words and not _runs(root, words[0]):
            yield f"--{option}: {words[0]} is no program under {root}"
    if wish.state_path is not None:
        yield from absent_state(root, wish.state_path)


def absent_state(root: Path, state_path: str) -> Iterator[str]:
    if (root / state_path.lstrip("/")).is_symlink():
        yield f"--state-path: {state_path} is a symbolic link: name the folder itself"
    elif not (root / state_path.lstrip("/")).is_dir():
        yield f"--state-path: {state_path} is no folder under {root}"


def _apart(root: Path, state: str, inbox: str) -> bool:
    """The folder that holds the state, and the nearest to the inbox that is there: what is renamed stays in one."""
    above = (root / state.lstrip("/")).parent
    nearest = root / inbox.lstrip("/")
    while not nearest.exists():
        nearest = nearest.parent
    return above.exists() and above.stat().st_dev != nearest.stat().st_dev


def _runs(root: Path, program: str) -> bool:
    """A bare name is looked for in the PATH of this machine; in a folder nobody can tell, and it passes."""
    if "/" not in program:
        return root != Path("/") or shutil.which(program) is not None
    path = root / program.lstrip("/")
    return path.is_symlink() or (path.is_file() and os.access(path, os.X_OK))


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
