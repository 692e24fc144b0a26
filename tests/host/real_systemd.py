"""systemd itself, as the first process of namespaces of its own: its root is this machine's, and what it changes there
is gone with it. None of the machine's own units is started.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import textwrap
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.namespaces import until

SYSTEMD = Path("/lib/systemd/systemd")
NAMESPACES = ("--mount", "--pid", "--cgroup", "--ipc", "--uts")
BOOT = """
set -e
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
cd {place}/root
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs none run
mount -t tmpfs none tmp
printf '[Unit]\\nDefaultDependencies=no\\n' > etc/systemd/system/nothing.target
exec chroot . env -i container=test PATH="$PATH" {systemd} --system --unit=nothing.target --log-target=null
"""


def missing():
    """Why there is no systemd of our own here, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    absent = [name for name in ("unshare", "nsenter", "systemctl") if shutil.which(name) is None]
    if absent or not SYSTEMD.exists():
        return f"not installed: {' '.join(absent) or 'systemd'}"
    with tempfile.TemporaryDirectory() as place:
        tried = ["unshare", *NAMESPACES, "--fork", "mount", "-t", "cgroup2", "none", place]
        if subprocess.run(tried, capture_output=True, check=False).returncode != 0:
            return "namespaces or cgroup2 are not allowed here: run it with the capability CAP_SYS_ADMIN"
    return None


_MISSING = missing()
needs_systemd = pytest.mark.skipif(_MISSING is not None, reason=_MISSING or "")


@dataclass
class Machine:
    """One that has started systemd and nothing else. `systemctl`: a command of ours that asks it. `groups`: where its
    control groups are to be seen from here.
    """

    pid: int
    root: Path
    systemctl: str
    groups: Path

    def unit(self, name, *service, needs=()):
        """A unit file; `service` and `needs`: lines of its sections."""
        lines = ["[Unit]", "DefaultDependencies=no", *needs, "[Service]", *service, ""]
        self.run("tee", f"/etc/systemd/system/{name}", given="\n".join(lines))
        self.ctl("daemon-reload")

    def ctl(self, *words):
        return self.run("systemctl", *words)

    def run(self, *command, given=None):
        """In it, as root; what it says."""
        done = subprocess.run(
            [*self.enter(), *command], capture_output=True, check=True, text=True, input=given, timeout=60
        )
        return done.stdout.strip()

    def succeeds(self, *command):
        done = subprocess.run([*self.enter(), *command], capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    def enter(self):
        top = f"/proc/{self.pid}/root"
        return ["nsenter", f"--target={self.pid}", "--all", f"--root={top}", f"--wd={top}"]

    def state(self, unit):
        return self.ctl("show", "--property=ActiveState", "--value", unit)


@contextlib.contextmanager
def machine():
    """A `Machine`, ended with everything that runs in it."""
    with contextlib.ExitStack() as ending:
        place = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        groups = place / "groups"
        groups.mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "none", str(groups)], check=True)
        ending.callback(subprocess.run, ["umount", str(groups)], check=True)
        ours = groups / f"systemd-{uuid.uuid4().hex[:8]}"
        ours.mkdir()
        ending.callback(lambda: until(lambda: _removed(ours)))
        (place / "machine").mkdir()
        boot = place / "boot"
        boot.write_text(BOOT.format(place=place / "machine", systemd=SYSTEMD))
        joined = f"echo $$ > {ours}/cgroup.procs; exec unshare {' '.join(NAMESPACES)} --fork --kill-child sh {boot}"
        started = subprocess.Popen(["sh", "-c", joined], start_new_session=True)
        ending.callback(started.wait)
        ending.callback(started.kill)
        pid = until(lambda: _child_of(started.pid))
        systemctl = place / "systemctl"
        made = Machine(pid, place / "machine/root", str(systemctl), ours)
        systemctl.write_text(
            textwrap.dedent(f"""\
            #!/bin/sh
            exec {" ".join(made.enter())} systemctl "$@"
            """)
        )
        systemctl.chmod(0o700)
        until(lambda: made.succeeds("systemctl", "is-active", "nothing.target"))
        yield made


def _child_of(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _removed(group):
    """Groups go from the innermost, and only once nothing is in them."""
    for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
