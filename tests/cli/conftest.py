"""The command line against a database of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spotguard.cli.main import app
from spotguard.store.database import Database


class Shell:
    """Types commands and reads what they say."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._runner = CliRunner()

    def run(self, *words: str) -> Result:
        return self._runner.invoke(app, list(words))

    def json(self, *words: str) -> dict[str, Any]:
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def fails(self, *words: str, code: int = 1) -> str:
        """The one line on stderr."""
        result = self.run(*words)
        assert result.exit_code == code, result.output
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        return lines[0]


@pytest.fixture
def new_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Nothing has been set up yet."""
    url = f"sqlite:///{tmp_path / 'spotguard.db'}"
    monkeypatch.setenv("SPOTGUARD_DATABASE_URL", url)
    monkeypatch.delenv("SPOTGUARD_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return Shell(url)


@pytest.fixture
def shell(new_shell: Shell) -> Shell:
    assert new_shell.run("db", "upgrade").exit_code == 0
    return new_shell


@pytest.fixture
def database(shell: Shell) -> Iterator[Database]:
    database = Database.open(shell.url)
    yield database
    database.dispose()
