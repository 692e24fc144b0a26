"""What was typed wrong is one line and exit code 2, whoever notices it: the command line's parser or the command."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--foo", "spotguard: No such option: --foo (see spotguard --help)"),
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


def test_nothing_typed_shows_the_help(new_shell):
    for words in ((), ("model",)):
        assert "Usage: " in new_shell.run(*words).output
