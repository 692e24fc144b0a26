"""`make idle-agent MINUTES=10`: what the shipped agent costs a machine on which nothing happens, by /proc.

Server and agent are the real programs with their default intervals, signals polled every second, against the wire.
The last line is one JSON object; exit 1 when a limit is passed.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path

from tests.wire.processes import Town
from tests.wire.test_processes import agent_of

MOST_MIB = 40.0
MOST_PERCENT = 0.3
WARM_UP_SECONDS = 15.0  # its start is no part of idling
PATIENCE_SECONDS = 180.0
SAMPLE_SECONDS = 5.0
TICK = os.sysconf("SC_CLK_TCK")
_FAST = ("SPOTGUARD_PASS_SECONDS", "SPOTGUARD_HEARTBEAT_SECONDS")


class Quiet(Town):
    """With the intervals of production."""

    @property
    def environment(self):
        return {name: value for name, value in super().environment.items() if name not in _FAST}

    def until(self, comes_true, *, seconds):
        """A start may take its time on a busy machine: only what comes after it is measured."""
        return super().until(comes_true, seconds=max(seconds, PATIENCE_SECONDS))

    def process(self, name):
        return self._processes[name].pid


def cpu_seconds(pid):
    """(its own, that of the programs that it has run), user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) / TICK for field in fields[11:15])
    return user + system, children_user + children_system


def mib(pid, name):
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name)
    )
    return int(line.split()[1]) / 1024


def measured(pid, seconds):
    """Figures over so many seconds."""
    own, children = cpu_seconds(pid)
    begun, largest, pause = time.monotonic(), 0.0, threading.Event()
    while (passed := time.monotonic() - begun) < seconds:
        pause.wait(min(SAMPLE_SECONDS, seconds - passed))
        largest = max(largest, mib(pid, "VmRSS"))
    own_later, children_later = cpu_seconds(pid)
    passed = time.monotonic() - begun
    return {
        "seconds": round(passed, 1),
        "rss_mib": round(largest, 1),
        "cpu_percent": round(100 * (own_later - own + children_later - children) / passed, 3),
        "of_it_gate_commands_percent": round(100 * (children_later - children) / passed, 3),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Quiet(Path(folder)) as town:
        town.start_server()
        town.token = town.run("client", "create", "idle", "--executor", "server")["token"]
        own = town.own_machine()
        town.until(lambda: agent_of(town, own), seconds=120)
        threading.Event().wait(WARM_UP_SECONDS)
        polls = _polls_of(town, own)
        found = measured(town.process(own), asked.minutes * 60)
        found["signal_polls_per_second"] = round(polls() / found["seconds"], 2)
    found |= {"most_mib": MOST_MIB, "most_percent": MOST_PERCENT}
    is_well = found["rss_mib"] <= MOST_MIB and found["cpu_percent"] <= MOST_PERCENT
    print(json.dumps({**found, "within_limits": is_well}))
    return 0 if is_well else 1


def _polls_of(town, instance_id):
    """Counts the agent's looks at its signals from now on, at the service itself."""
    server = town.ec2.imds(instance_id)
    before = server.asked["meta-data/spot/instance-action"]
    return lambda: server.asked["meta-data/spot/instance-action"] - before
