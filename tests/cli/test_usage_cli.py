"""What was typed wrong is one line and exit code 2, whoever notices it: the command line's parser or the command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--foo", "spotguard: No such option: --foo (see spotguard --help)"),
        ("simulate --bogus", "spotguard: No such option: --bogus (see spotguard simulate --help)"),
        ("simulate --wrokers 2", "No such option: --wrokers, is --workers meant? (see"),
        (
            "--json doctor",
            "No such option: --json: it belongs behind the command's name (see spotguard --help)",
        ),
        ("model --json list", "it belongs behind the command's name (see spotguard model --help)"),
        (
            "--install-completion zsh",
            "--install-completion takes no other word: it is for the shell in which",
        ),
        ("nosuch", "spotguard: No such command 'nosuch' (see spotguard --help)"),
        ("model nosuch", "spotguard: No such command 'nosuch' (see spotguard model --help)"),
        (
            "advise --profile foo",
            "'foo' is not one of 'stateless', 'stateful', 'critical' (see spotguard advise",
        ),
        (
            "train --data /nope --out x",
            "'--data': folder '/nope' does not exist (see spotguard train --help)",
        ),
        ("drill", "spotguard: Missing argument 'agent' (see spotguard drill --help)"),
        ("demo --prices /dev/null", "spotguard: --prices and --ondemand go together"),
        ("advise --savings-plan x", "spotguard: --savings-plan: a number from 0 on is wanted, not 'x'"),
    ],
)
def test_one_line_whoever_notices_it(new_shell, typed, told):
    line = new_shell.fails(*typed.split(), code=2)
    assert line.startswith("spotguard: ")
    assert told in line
    assert "Value error" not in line


def test_completion_takes_no_word_and_installs_nothing_then(new_shell, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for option in ("--install-completion", "--show-completion"):
        told = new_shell.fails(option, "zsh", code=2)
        assert told == f"spotguard: {option} takes no other word: it is for the shell in which it is typed"
    assert list(tmp_path.iterdir()) == []


def test_completion_in_a_shell_that_has_none_names_those_that_have(tmp_path):
    typed = (
        f"{sys.executable} -c 'from spotguard.cli.entry import main; main()' --install-completion; exit $?"
    )
    home = {**os.environ, "HOME": str(tmp_path)}
    told = subprocess.run(["/bin/sh", "-c", typed], capture_output=True, text=True, env=home, check=False)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(
        "spotguard: --install-completion is for bash, zsh, fish, powershell, pwsh: type"
    )
    assert list(tmp_path.iterdir()) == []


def test_nothing_typed_shows_the_help(new_shell):
    for words in ((), ("model",)):
        assert "Usage: " in new_shell.run(*words).output


def test_the_paragraphs_of_a_help_fill_the_terminal_and_its_exit_codes_are_told(new_shell):
    told = new_shell.run("simulate", "--help").output
    paragraph = told[told.index("A seed that") : told.index("touches AWS.")].splitlines()
    assert min(len(line.strip()) for line in paragraph[:-1]) > 60
    assert "130 when it was interrupted" in " ".join(told.split())
