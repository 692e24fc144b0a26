"""docs/settings.md tells every setting, with its meaning and its default."""

import re
from pathlib import Path

import msgspec
import pytest

from spotguard.cli.agent_settings import AgentFile
from spotguard.config import Settings, load_settings
from spotguard.domain.errors import BadSetting, InvalidInput

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", re.MULTILINE)


SERVER, AGENT = DOCUMENT.read_text().split("## Settings of an agent")


def of_server():
    return {name: (field.description, field.default) for name, field in Settings.model_fields.items()}


def of_agent():
    fields = msgspec.inspect.type_info(AgentFile).fields
    return {field.name: (field.type.extra_json_schema["description"], field.default) for field in fields}


PAGES = [(SERVER, of_server()), (AGENT, of_agent())]


@pytest.mark.parametrize(("page", "settings"), PAGES, ids=["server", "agent"])
def test_every_setting_is_documented_with_its_meaning(page, settings):
    documented = {name: meaning for name, _, meaning in ROW.findall(page)}
    assert documented == {name: meaning for name, (meaning, _) in settings.items()}


@pytest.mark.parametrize(("page", "settings"), PAGES, ids=["server", "agent"])
def test_documented_defaults_are_the_defaults(page, settings):
    for name, default, _ in ROW.findall(page):
        if default.startswith("`"):
            assert str(settings[name][1]) == default.strip("`")


def test_flags_win_over_environment_over_file(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('host = "file"\nport = 1\nlog_level = "debug"\n')
    monkeypatch.setenv("SPOTGUARD_CONFIG", str(file))
    monkeypatch.setenv("SPOTGUARD_PORT", "2")
    monkeypatch.setenv("SPOTGUARD_HOST", "environment")
    settings = load_settings(host="flag", port=None)
    assert (settings.host, settings.port, settings.log_level) == ("flag", 2, "debug")


def test_what_cannot_be_meant_is_named_as_it_was_set(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('database_url = "postgres://x"\n')
    monkeypatch.setenv("SPOTGUARD_CONFIG", str(file))
    with pytest.raises(BadSetting, match=rf"^{file}, database_url: not a database URL"):
        load_settings()
    monkeypatch.setenv("SPOTGUARD_DATABASE_URL", "postgres://x")
    with pytest.raises(BadSetting, match=r"^SPOTGUARD_DATABASE_URL: not a database URL"):
        load_settings()
    with pytest.raises(BadSetting, match=r"^--database-url: not a database URL"):
        load_settings(database_url="postgres://x")


@pytest.mark.parametrize("bad", ["port = 'many'", "port = 70000", "unknown_name = 1", "port ="])
def test_a_bad_file_is_one_clear_error(tmp_path, monkeypatch, bad):
    file = tmp_path / "config.toml"
    file.write_text(bad)
    monkeypatch.setenv("SPOTGUARD_CONFIG", str(file))
    with pytest.raises(InvalidInput) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
