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
    unit = (tmp_path / "sync" / "spotguard-sync.service").read_text().splitlines()
    assert "RequiresMountsFor=/srv/inbox" in unit, "what came below its mount point would be hidden"
    assert told["sync_ssh_config"] == f"{tmp_path}/sync/ssh_config"


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    answer = CliRunner().invoke(app, ["agent", "sync-keys", "--folder", f"{tmp_path}/file"])
    assert answer.exit_code != 0
    answer = CliRunner().invoke(app, ["agent", "sync-keys", "--folder", f"{tmp_path}/a b"])
    assert answer.exit_code == 2


def test_a_dry_run_tells_the_same_files_and_writes_none_and_keys_that_are_there_stay(tmp_path):
    folder = tmp_path / "sync"
    words = ["agent", "sync-keys", "--folder", str(folder)]
    dry = CliRunner().invoke(app, [*words, "--dry-run"])
    assert (dry.exit_code, folder.exists()) == (0, False)
    assert dry.stdout.endswith("\nNothing was written.\n")
    told = [line for line in dry.stdout.splitlines() if line.startswith(str(folder))]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert {str(path) for path in folder.iterdir()} - {f"{folder}/key.pub", f"{folder}/host_key.pub"} == set(
        told
    )
    again = CliRunner().invoke(app, [*words, "--dry-run"]).stdout
    assert again.startswith(f"{folder}/key (is there, and stays)\n{folder}/host_key (is there, and stays)\n")


def test_a_path_that_hangs_on_the_present_folder_is_refused_before_anything_is_written(tmp_path):
    for words in (["--inbox", "mine"], ["--inbox", "/srv/inbox", "--folder", "mine"]):
        said = CliRunner().invoke(app, ["agent", "sync-keys", "--folder", f"{tmp_path}/sync", *words])
        assert (said.exit_code, "'mine': a path on every instance" in said.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
