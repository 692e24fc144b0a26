"""The user's commands on real processes: their time, their end, the end of what they say."""

import sys
import time

import pytest

from spotguard.domain.errors import QuiesceFailed
from spotguard.host.commands import KEPT_BYTES, run
from spotguard.host.quiesce import CommandQuiesce


def python(text):
    return [sys.executable, "-c", text]


def test_its_status_its_environment_and_what_it_said_on_both_streams():
    ran = run(
        python("import os,sys; print(os.environ['EPOCH']); print('no', file=sys.stderr); sys.exit(3)"),
        20,
        {"EPOCH": "7"},
    )
    assert ran.status == 3
    assert not ran.succeeded
    assert set(ran.output.split()) == {"7", "no"}


def test_only_the_end_of_much_talk_is_kept():
    ran = run(python("print('x' * 5_000_000); print('the end')"), 20)
    assert ran.succeeded
    assert ran.output.endswith("the end")
    assert len(ran.output) <= KEPT_BYTES


def test_one_that_does_not_end_is_killed_with_its_children(tmp_path):
    child = tmp_path / "child"
    begun = time.monotonic()
    ran = run(["sh", "-c", f"(sleep 1.5; touch {child}) & echo waiting; sleep 60"], 0.5)
    assert ran.status is None
    assert "no end within 0.5 s" in ran.output
    assert "waiting" in ran.output
    assert time.monotonic() - begun < 1.4
    run(["sleep", "1.5"], 5)
    assert not child.exists()


def test_one_that_is_not_there_says_so():
    ran = run(["/no/such/program"], 1)
    assert ran.status is None
    assert "No such file" in ran.output


def test_a_hook_that_fails_is_told_with_its_last_line():
    hooks = CommandQuiesce(["true"], ["sh", "-c", "echo first; echo frozen elsewhere; exit 1"], 5)
    hooks.freeze()
    with pytest.raises(QuiesceFailed, match="frozen elsewhere"):
        hooks.thaw()
