"""Settings of an agent: `SPOTGUARD_AGENT_*` environment over a TOML file over the defaults below.

Read with msgspec, which the agent needs anyway: pydantic would stay in its memory for as long as it runs.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from spotguard.domain.errors import BadSetting

CONFIG = Path("/etc/spotguard/agent.toml")
PREFIX = "SPOTGUARD_AGENT_"


class AgentFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `spotguard agent` is told."""

    server_url: Annotated[str, Meta(pattern=r"^https?://[^/\s]", description="address of the API")]
    logical_agent_id: Annotated[
        str, Meta(min_length=1, description="name of the workload, the same wherever it runs")
    ]
    client_token_file: Annotated[
        Path | None,
        Meta(description="file with the client's token; an instance launched by SpotGuard needs none"),
    ] = None
    state_folder: Annotated[
        Path,
        Meta(
            description="the agent's own journal, and half a MiB of room for the day on which the disk is full"
        ),
    ] = Path("/var/lib/spotguard")
    unit: Annotated[str, Meta(description="systemd unit of the workload; not enabled at boot")] = ""
    start: Annotated[list[str], Meta(description="instead of a unit: command that starts the workload")] = (
        field(default_factory=list)
    )
    stop: Annotated[list[str], Meta(description="command that stops and flushes it")] = field(
        default_factory=list
    )
    status: Annotated[
        list[str], Meta(description="command that succeeds while it runs, from the end of start on")
    ] = field(default_factory=list)
    probe: Annotated[list[str], Meta(description="command that succeeds while it is healthy")] = field(
        default_factory=list
    )
    health_port: Annotated[
        int,
        Meta(ge=0, le=65535, description="port of the health endpoint for load balancers; 0: there is none"),
    ] = 0
    health_address: Annotated[str, Meta(description="address that it listens on")] = "0.0.0.0"  # noqa: S104
    quiesce: Annotated[
        list[str],
        Meta(description="command before an image: makes the volumes hold everything, and freezes them"),
    ] = field(default_factory=list)
    thaw: Annotated[
        list[str], Meta(description="command after it, always run; has to succeed when nothing is frozen")
    ] = field(default_factory=list)
    quiesce_seconds: Annotated[
        float,
        Meta(gt=0, le=60, description="time of either command, after which it is killed and has failed"),
    ] = 30
    traffic_script: Annotated[
        list[str], Meta(description="command that brings the clients here, for the route by script")
    ] = field(default_factory=list)
    traffic_check: Annotated[list[str], Meta(description="command that succeeds once they come here")] = (
        field(default_factory=list)
    )
    traffic_seconds: Annotated[
        float,
        Meta(gt=0, le=600, description="time of either command, after which it is killed and has failed"),
    ] = 60
    state_path: Annotated[
        Path | None,
        Meta(
            description="folder of the workload's state, copied by rsync; unset: volume or image carry it, no standbys"
        ),
    ] = None
    inbox_path: Annotated[Path, Meta(description="where a standby receives it; same file system")] = Path(
        "/var/lib/spotguard-inbox"
    )
    sync_destination: Annotated[str, Meta(description="a standby's inbox, as rsync spells it")] = (
        "root@{address}:/var/lib/spotguard-inbox"
    )
    sync_ssh_config: Annotated[
        Path | None,
        Meta(description="settings of ssh for it, with key and pinned host key; unset: ssh's own settings"),
    ] = None
    sync_position: Annotated[
        list[str], Meta(description="instead of state_path: command that tells how far the state has come")
    ] = field(default_factory=list)
    sync_push: Annotated[
        list[str], Meta(description="command that ends when the target has what was here at its start")
    ] = field(default_factory=list)
    sync_received: Annotated[
        list[str], Meta(description="command that tells what has arrived on a standby")
    ] = field(default_factory=list)
    sync_adopt: Annotated[
        list[str], Meta(description="command that makes it the state, before the workload starts")
    ] = field(default_factory=list)
    sync_command_seconds: Annotated[
        float,
        Meta(gt=0, le=600, description="time of each of them, after which it is killed and has failed"),
    ] = 60
    calls_ec2: Annotated[
        bool,
        Meta(
            description="this instance's profile may call EC2 for its moves, where the client's executor is agent"
        ),
    ] = False
    metadata_url: Annotated[str, Meta(description="instance metadata service")] = "http://169.254.169.254"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="debug, info, warning or error")
    ] = "info"


def load_agent_file(path: Path | None = None) -> AgentFile:
    """The settings; `BadSetting` names the file and the key that is wrong."""
    source = agent_file(path)
    is_there = source.exists()
    try:
        text = source.read_text() if is_there or source != CONFIG else ""
    except OSError as error:
        raise BadSetting(f"{source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"{source} is not TOML: {error}") from error
    said = _environment()
    if not is_there and not said:
        raise BadSetting(
            f"there is no {source}: spotguard agent install writes it; --config names another file"
        )
    return agent_file_of(text, source if is_there else f"no {source}", said)


def agent_file_of(text: str, where: Path | str, environment: Mapping[str, Any] | None = None) -> AgentFile:
    """Settings from the text of a file and what the environment says over it; `BadSetting` names both."""
    said = environment or {}
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{where} is not TOML: {error}") from error
    try:
        return msgspec.convert({**told, **said}, AgentFile, strict=False, dec_hook=_path)
    except (msgspec.ValidationError, TypeError) as error:
        over = "".join(f", {PREFIX}{name.upper()}" for name in said)
        raise BadSetting(f"{where}{over}: {_in_words(str(error))}") from error


def _in_words(complaint: str) -> str:
    """What msgspec complains of, by the setting's name."""
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", complaint):
        return f"{missing[1]} is missing: {_meaning(missing[1])}"
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", complaint):
        return f"there is no setting {unknown[1]}"
    if wrong := re.fullmatch(r"(.+) - at `\$\.(\w+)(.*)`", complaint):
        return f"{wrong[2]}{wrong[3]}: {wrong[1][0].lower()}{wrong[1][1:]}"
    return complaint


def _meaning(name: str) -> str:
    return str(get_type_hints(AgentFile, include_extras=True)[name].__metadata__[0].description)


def agent_file(path: Path | None = None) -> Path:
    """The file that is read: the one that is given, else that of the environment, else the usual one."""
    return path or Path(os.environ.get(f"{PREFIX}CONFIG") or CONFIG)


def _environment() -> dict[str, Any]:
    """What the environment says; a command is a JSON list there."""
    found: dict[str, Any] = {}
    for name, wanted in AgentFile.__annotations__.items():
        text = os.environ.get(f"{PREFIX}{name.upper()}")
        if text is not None:
            found[name] = _list(name, text) if "list[str]" in str(wanted) else text
    return found


def _list(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadSetting(f"{PREFIX}{name.upper()} is not a JSON list: {error}") from error


def _path(wanted: type, told: Any) -> Any:
    """The one type that msgspec leaves to us."""
    if wanted is not Path or not isinstance(told, str):
        raise TypeError(f"a path was expected, not {type(told).__name__}")
    return Path(told)
