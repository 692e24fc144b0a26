"""Settings of the server side: flags over `SPOTGUARD_*` environment over a TOML file over the defaults below."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from spotguard.domain.errors import InvalidInput


def state_folder() -> Path:
    """Where the embedded database lies unless told otherwise (XDG base directories)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "spotguard"


def config_file() -> Path:
    """`SPOTGUARD_CONFIG`, else `spotguard/config.toml` in the user's configuration folder."""
    named = os.environ.get("SPOTGUARD_CONFIG")
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(named) if named else Path(base) / "spotguard" / "config.toml"


def _default_database() -> str:
    return f"sqlite:///{state_folder() / 'spotguard.db'}"


class Settings(BaseSettings):
    """Every setting of server and coordinator, each documented in docs/settings.md (a test holds them equal)."""

    model_config = SettingsConfigDict(env_prefix="SPOTGUARD_", extra="forbid")

    database_url: str = Field(
        default_factory=_default_database,
        description="SQLAlchemy URL: sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME",
    )
    host: str = Field(default="127.0.0.1", description="address that the API listens on")
    port: int = Field(
        default=8000, ge=0, le=65535, description="port that the API listens on; 0 takes a free one"
    )
    public_url: str | None = Field(
        default=None,
        description="address under which launched instances reach the API; unset: http://HOST:PORT",
    )
    installation: str = Field(
        default="spotguard",
        pattern=r"[a-zA-Z0-9_-]{1,64}",
        description="value of the tag spotguard:managed on everything that this installation makes",
    )
    pass_seconds: float = Field(
        default=10, gt=0, le=10, description="the coordinator looks at least this often"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- named by pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file())


def load_settings(**flags: Any) -> Settings:
    """The settings; a flag that is None was not given. A bad value is `InvalidInput` and names its source's key."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"setting {name}: {first['msg']}") from error
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise InvalidInput(f"{config_file()}: {error}") from error


def prepare_database_folder(url: str) -> None:
    """An embedded database needs its folder; nobody else may read it."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and url != prefix:
        Path(url.removeprefix(prefix)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
