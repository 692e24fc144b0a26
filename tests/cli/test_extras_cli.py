"""A command that lacks its extra says what to type; never a package called spotguard of whoever registers that name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from spotguard.cli.extras import EXTRAS, install_command, require_extra
from spotguard.domain.errors import BadSetting

ROOT = Path(__file__).parents[2]


def test_what_is_missing_is_told_by_its_own_names():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra: list(names) for extra, names in EXTRAS.items()} == told
    said = install_command("wire")
    assert said.endswith(" -m pip install 'moto[ec2,server]==5.2.5'")


def test_a_command_that_lacks_it_ends_with_that_line():
    with pytest.raises(BadSetting, match=r"^this needs the extra 'training': .* -m pip install .*skops"):
        require_extra("training", "no_such_module")
    require_extra("training", "json")


def test_no_document_and_no_message_installs_a_stranger():
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    assert [str(path) for path in texts if "install 'spotguard[" in path.read_text()] == []
