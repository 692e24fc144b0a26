"""A standby that was suspended tells the age that its state has by now: while it slept, that has grown too."""

import os
import subprocess
import sys

import pytest

from spotguard.host.inbox import pass_id
from tests.host.copying import forge

ASLEEP = """
import ctypes, os, sys
from pathlib import Path
from spotguard.host.inbox import Inbox
inbox = Inbox(Path(sys.argv[1]))
before = inbox.received(since=-1).lag_seconds
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWTIME = 0x80
if libc.unshare(CLONE_NEWTIME) != 0:
    sys.exit(77)
Path("/proc/self/timens_offsets").write_text("boottime 600 0")
if libc.setns(os.open("/proc/self/ns/time_for_children", os.O_RDONLY), CLONE_NEWTIME) != 0:
    sys.exit(77)
print(before, inbox.received(since=-1).lag_seconds)
"""
NO_NAMESPACES = 77


@pytest.mark.skipif(os.geteuid() != 0, reason="a time namespace needs root")
def test_the_lag_of_a_standby_that_resumes_counts_the_time_in_which_it_was_suspended(tmp_path):
    """As for a suspended machine, the clock since its boot has gone ten minutes ahead and the monotonic one has not."""
    forge(tmp_path / "inbox", pass_id(1, 1), "whole")
    told = subprocess.run(
        [sys.executable, "-c", ASLEEP, str(tmp_path / "inbox")], capture_output=True, text=True, check=False
    )
    if told.returncode == NO_NAMESPACES:
        pytest.skip("this kernel gives no time namespaces")
    before, after = map(float, told.stdout.split())
    assert before < 60
    assert after >= before + 600
