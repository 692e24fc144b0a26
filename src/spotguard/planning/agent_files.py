"""What is written for an agent: its settings and its systemd unit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from spotguard.domain.errors import InvalidInput

CONFIG_FOLDER = "/etc/spotguard"
CONFIG = f"{CONFIG_FOLDER}/agent.toml"
TOKEN = f"{CONFIG_FOLDER}/token"
KEPT = "# below: more settings (docs/settings.md), kept when this file is written again\n"
WATCHDOG_SECONDS = 150  # two and a half of the agent's beat (agent.runner.BEAT_SECONDS)


@dataclass(frozen=True)
class Wish:
    """The agent that is wanted. Commands are lists of words; `program` is how the agent is started."""

    server_url: str
    logical_agent_id: str
    program: Sequence[str]
    unit: str = ""
    start: Sequence[str] = ()
    stop: Sequence[str] = ()
    status: Sequence[str] = ()
    probe: Sequence[str] = ()
    state_path: str | None = None
    metadata_url: str | None = None
    calls_ec2: bool = False
    token: str | None = field(default=None, repr=False)


def agent_toml(wish: Wish, *, has_token: bool) -> str:
    """The agent's settings (docs/settings.md); `has_token`: a token lies where they name it.

    `InvalidInput` for text that no file of settings can hold.
    """
    told: dict[str, str | Sequence[str] | None] = {
        "server_url": wish.server_url,
        "logical_agent_id": wish.logical_agent_id,
        "client_token_file": TOKEN if has_token else None,
        "unit": wish.unit,
        "start": wish.start,
        "stop": wish.stop,
        "status": wish.status,
        "probe": wish.probe,
        "state_path": wish.state_path,
        "metadata_url": wish.metadata_url,
    }
    lines = [f"{name} = {_toml(value)}" for name, value in told.items() if value]
    if wish.calls_ec2:
        lines.append("calls_ec2 = true")
    return "\n".join(["# written by spotguard agent install", *lines, KEPT])


def _toml(value: str | Sequence[str]) -> str:
    """JSON's strings and lists of strings are TOML's too, as long as they can be printed."""
    words = [value] if isinstance(value, str) else value
    if not all(word.isprintable() for word in words):
        raise InvalidInput(f"a setting with characters that cannot be printed: {value!r}")
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)


def agent_unit(wish: Wish) -> str:
    """The agent's own unit (systemd.unit(5), systemd.service(5), systemd.resource-control(5)).

    A workload that commands start may live in the agent's control group: it is neither killed nor limited with it, and
    makes its files as it always did. What runs out of memory there (a copying rsync, a user's command) ends alone: by
    systemd's default (`OOMPolicy=stop`) the agent would end with it.
    """
    command = " ".join(map(_quoted, (*wish.program, "agent", "run", "--config", CONFIG, "--json-logs")))
    group = (
        (
            "KillMode=mixed",
            "MemoryHigh=384M",
            "MemoryMax=768M",
            "MemorySwapMax=0",
            "TasksMax=256",
            "UMask=0077",
        )
        if wish.unit
        else ("KillMode=process",)
    )
    return "\n".join(
        (
            "# written by spotguard agent install",
            "[Unit]",
            f"Description=SpotGuard agent of {_unit_text(wish.logical_agent_id)}",
            "Wants=network-online.target",
            "After=network-online.target time-sync.target local-fs.target",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"ExecStart={command}",
            "Restart=always",
            "RestartSec=2",
            "NotifyAccess=main",
            f"WatchdogSec={WATCHDOG_SECONDS}",
            "TimeoutStopSec=90",  # a hook that thaws may take a minute
            "OOMScoreAdjust=-900",
            "OOMPolicy=continue",
            *group,
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        )
    )


def _quoted(word: str) -> str:
    """systemd.service(5), "Command lines": specifiers, variables and quotes lose their meaning."""
    if not word.isprintable():
        raise InvalidInput(f"a path with characters that cannot be printed: {word!r}")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _unit_text(text: str) -> str:
    if not text.isprintable():
        raise InvalidInput(f"a name with characters that cannot be printed: {text!r}")
    return text.replace("%", "%%").rstrip("\\")
