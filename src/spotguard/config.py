"""Settings of the server side: flags over `SPOTGUARD_*` environment over a TOML file over the defaults below."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from spotguard.domain.errors import BadSetting, Refused
from spotguard.domain.models import STALE_DAYS

_EMBEDDED = "sqlite:///"
_OF_SQLITE = b"SQLite format 3\0"
_SHAPES = "sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME"
# a host may be missing: the socket is then a parameter
_SERVED = re.compile(
    r"(mysql|mariadb)(\+pymysql)?://([^:@/]*(:[^@/:]*)?@)?(\[[0-9a-fA-F:]+\]|[^:@/\[\]]*)(:\d{1,5})?/[^/?@]+(\?.*)?"
)


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
    return f"{_EMBEDDED}{state_folder() / 'spotguard.db'}"


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
        pattern=r"^https?://[^/\s]+",
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
    heartbeat_seconds: float = Field(
        default=60, ge=1, le=60, description="agents report at least this often; told to each when it enrols"
    )
    client_requests_per_minute: int = Field(
        default=3000, ge=0, description="requests of one tenant to the client API; 0: no limit"
    )
    stranger_requests_per_minute: int = Field(
        default=600, ge=0, description="requests without a credential from one address; 0: no limit"
    )
    failed_credentials_per_minute: int = Field(
        default=60, ge=0, description="requests from one address whose token opens nothing; 0: no limit"
    )
    model_folder: Path = Field(
        default_factory=lambda: state_folder() / "models",
        description="where the files of registered models lie, on each host that runs a server or coordinator",
    )
    model_stale_days: int = Field(
        default=STALE_DAYS,
        ge=1,
        le=3650,
        description="days since its registration after which a learned model does not decide",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, url: str) -> str:
        if url.startswith("sqlite://"):
            return url
        if not url.startswith(("mysql", "mariadb")):
            raise ValueError(f"not a database URL: {_SHAPES}")
        if not _SERVED.fullmatch(url):
            raise ValueError(
                "not the URL of a MySQL or MariaDB database: mysql+pymysql://USER:PASSWORD@HOST/NAME, "
                "with %40 %3A %2F %25 for @ : / % in a password"
            )
        return url

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
    """The settings; a flag that is None was not given. `BadSetting` names where what is wrong was set, or the file that
    is not there.
    """
    if os.environ.get("SPOTGUARD_CONFIG") and not config_file().is_file():
        raise BadSetting(f"SPOTGUARD_CONFIG names {config_file()}, which is not there")
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise BadSetting(f"{config_file()}: there is no setting {name}") from error
        where = _set_by(name, is_flag=name in given)
        raise BadSetting(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
    except ValueError as error:  # tomllib.TOMLDecodeError
        raise BadSetting(f"{config_file()}: {error}") from error


def _set_by(name: str, *, is_flag: bool) -> str:
    """What a person has to change: the strongest that gives this setting."""
    if is_flag:
        return f"--{name.replace('_', '-')}"
    variable = f"SPOTGUARD_{name.upper()}"
    return variable if variable in os.environ else f"{config_file()}, {name}"


def database_file(url: str) -> Path | None:
    """The file of an embedded database; None for a served one. `BadSetting` for one in memory."""
    if not url.startswith("sqlite://"):
        return None
    name = url.removeprefix(_EMBEDDED).partition("?")[0]
    if not url.startswith(_EMBEDDED) or name in {"", ":memory:"}:
        raise BadSetting(
            "a database in memory is gone with the command that made it: name a file, sqlite:///FILE"
        )
    return Path(name)


def prepare_database_folder(url: str) -> None:
    """The folder of the default database is made, for nobody else to read; one that was named has to be there.

    `Refused` where nothing can be written: SQLite needs that even to read (its write-ahead log); and where the file
    is none of SQLite's, which itself does not say which file it means.
    """
    file = database_file(url)
    if file is None:
        return
    folder = file.parent
    if folder == state_folder():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not folder.is_dir():
        raise BadSetting(f"the database is to lie in {folder}, which is not there: make that folder first")
    for path in (folder, file):
        if path.exists() and not os.access(path, os.W_OK):
            raise Refused(
                f"{path} cannot be written (permissions, or a read-only mount): the database needs that"
            )
    if file.exists() and _beginning(file, len(_OF_SQLITE)) not in {b"", _OF_SQLITE}:
        raise Refused(f"{file} is not a database of SQLite: name another file, or one that is not there yet")


def _beginning(file: Path, length: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(length)
