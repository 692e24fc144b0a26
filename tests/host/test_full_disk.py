"""A primary on whose disks nothing can be written any more, with real rsync from folder to folder."""

import shutil
import subprocess
import tempfile
from contextlib import suppress

import pytest

from spotguard.host.rsync import RsyncSync
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from tests.host.copying import TARGET, machine, settle, whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


@pytest.fixture
def disk(tmp_path):
    """The only one of the primary: its state is there, and its /tmp."""
    place = tmp_path / "disk"
    place.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=1M", "none", str(place)]
    if subprocess.run(small, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing may be mounted here")
    (place / "tmp").mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(place / "tmp")
    yield place
    tempfile.tempdir = before
    subprocess.run(["umount", str(place)], check=True)


def fill_up(place):
    with suppress(OSError), (place / "heap").open("ab", buffering=0) as heap:
        while True:
            heap.write(b"x" * 4096)


@pytest.mark.parametrize("runs", [True, False], ids=["every pass", "the last pass"])
def test_a_full_disk_keeps_neither_the_state_nor_a_ticket_from_leaving(disk, tmp_path, runs):
    """What was acknowledged before it was full."""
    state = disk / "state"
    state.mkdir()
    (state / "a").write_text("one")
    term = Term(held=lambda: 1, runs=lambda: runs)
    primary = RsyncSync(state, disk / "inbox", RsyncTransport(str(tmp_path / "{address}-inbox")), term)
    standby = machine(tmp_path, "standby")
    primary.adopt(1)
    whole_pass(primary)
    (state / "a").write_text("acknowledged")
    fill_up(disk)
    settle()
    whole_pass(primary)
    primary.deliver(TARGET, "ticket", b"epoch 2 is yours")
    assert standby.delivered("ticket") == b"epoch 2 is yours"
    assert standby.adopt(2)
    assert (tmp_path / "standby" / "a").read_text() == "acknowledged"
