"""A shell, its database, and a folder of models of its own."""

from pathlib import Path

import pytest

from tests.cli.conftest import Shell, database, new_shell, shell

__all__ = ["Shell", "database", "new_shell", "shell"]


@pytest.fixture(autouse=True)
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SPOTGUARD_MODEL_FOLDER", str(folder))
    return folder
