"""Settings of an agent: `SPOTGUARD_AGENT_*` environment over a TOML file over the defaults below."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from spotguard.config import BadSetting

CONFIG = Path("/etc/spotguard/agent.toml")


class AgentFile(BaseSettings):
    """What `spotguard agent` is told."""

    model_config = SettingsConfigDict(env_prefix="SPOTGUARD_AGENT_", extra="forbid")

    server_url: str = Field(pattern=r"^https?://", description="address of the API")
    logical_agent_id: str = Field(min_length=1, description="name of the workload, the same wherever it runs")
    client_token_file: Path | None = Field(
        default=None, description="file with the client's token; an instance launched by SpotGuard needs none"
    )
    state_folder: Path = Field(default=Path("/var/lib/spotguard"), description="the agent's own journal")
    unit: str = Field(default="", description="systemd unit of the workload; not enabled at boot")
    start: list[str] = Field(
        default_factory=list, description="instead of a unit: command that starts the workload"
    )
    stop: list[str] = Field(default_factory=list, description="command that stops and flushes it")
    status: list[str] = Field(default_factory=list, description="command that succeeds while it runs")
    probe: list[str] = Field(default_factory=list, description="command that succeeds while it is healthy")
    health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="port of the health endpoint for load balancers; 0: there is none",
    )
    health_address: str = Field(default="0.0.0.0", description="address that it listens on")  # noqa: S104
    quiesce: list[str] = Field(
        default_factory=list,
        description="command before an image: makes the volumes hold everything, and freezes them",
    )
    thaw: list[str] = Field(
        default_factory=list,
        description="command after it, always run; has to succeed when nothing is frozen",
    )
    quiesce_seconds: float = Field(
        default=30, gt=0, le=60, description="time of either command, after which it is killed and has failed"
    )
    traffic_script: list[str] = Field(
        default_factory=list, description="command that brings the clients here, for the route by script"
    )
    traffic_check: list[str] = Field(
        default_factory=list, description="command that succeeds once they come here"
    )
    traffic_seconds: float = Field(
        default=60,
        gt=0,
        le=600,
        description="time of either command, after which it is killed and has failed",
    )
    state_path: Path | None = Field(
        default=None, description="folder of the workload's state, copied by rsync"
    )
    inbox_path: Path = Field(
        default=Path("/var/lib/spotguard-inbox"), description="where a standby receives it; same file system"
    )
    sync_destination: str = Field(
        default="root@{address}:/var/lib/spotguard-inbox", description="a standby's inbox, as rsync spells it"
    )
    calls_ec2: bool = Field(
        default=False,
        description="this instance's profile may call EC2 for its moves, where the client's executor is agent",
    )
    metadata_url: str = Field(default="http://169.254.169.254", description="instance metadata service")
    log_level: str = Field(default="info", description="debug, info, warning or error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - named by pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # init is the file: the environment goes before it


def load_agent_file(path: Path | None = None) -> AgentFile:
    """The settings; `BadSetting` names the file and the key that is wrong."""
    source = agent_file(path)
    is_there = source.exists()
    try:
        told = tomllib.loads(source.read_text()) if is_there or source != CONFIG else {}
        return AgentFile(**told)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        where = source if is_there else f"{source}, which is not there"
        raise BadSetting(f"{where}: setting {name} of the agent: {first['msg']}") from error
    except OSError as error:
        raise BadSetting(f"{source}: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise BadSetting(f"{source} is not TOML: {error}") from error


def agent_file(path: Path | None = None) -> Path:
    """The file that is read: the one that is given, else that of the environment, else the usual one."""
    return path or Path(os.environ.get("SPOTGUARD_AGENT_CONFIG") or CONFIG)
