"""`spotguard agent sync-keys`: keys and settings for the state sync, and what to do with them."""

import shutil
import tomllib

import pytest
from typer.testing import CliRunner

from spotguard.cli.main import app

pytestmark = pytest.mark.skipif(
    any(shutil.which(name, path="/usr/bin:/usr/sbin") is None for name in ("ssh-keygen", "sshd", "rrsync")),
    reason="openssh-server or rsync is not installed",
)


def test_it_says_what_belongs_into_the_settings(tmp_path):
    answer = CliRunner().invoke(
        app, ["agent", "sync-keys", "--folder", f"{tmp_path}/sync", "--inbox", "/srv/inbox", "--port", "8000"]
    )
    assert answer.exit_code == 0, answer.output
    lines = [line for line in answer.stdout.splitlines() if " = " in line]
    told = tomllib.loads("\n".join(lines))
    assert told["inbox_path"] == "/srv/inbox"
    assert "Port 8000" in (tmp_path / "sync" / "sshd_config").read_text()
    assert (tmp_path / "sync" / "authorized_keys").read_text().startswith('command="')
    assert told["sync_ssh_config"] == f"{tmp_path}/sync/ssh_config"


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    answer = CliRunner().invoke(app, ["agent", "sync-keys", "--folder", f"{tmp_path}/file"])
    assert answer.exit_code != 0
    answer = CliRunner().invoke(app, ["agent", "sync-keys", "--folder", f"{tmp_path}/a b"])
    assert answer.exit_code == 2
