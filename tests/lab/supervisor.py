"""What stands beside the processes of a lab as EC2 and systemd do: starts an agent on each machine that has booted,
ends what runs on a machine that has ended, mounts volumes as they are attached, and starts anew what has died.
"""

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import wait

from spotguard.cloud.simulated.state import HappeningKind
from spotguard.domain.instances import InstanceState
from spotguard.planning.switching import STATE_DEVICE
from tests.lab.folders import mount
from tests.lab.mains import agent_main, coordinator_main, server_main

RESTART_SECONDS = 0.1  # systemd's own RestartSec
TICK_SECONDS = 0.02
ROOT_DEVICE = "/dev/xvda"
_OVER = frozenset({HappeningKind.TERMINATED, HappeningKind.STOPPED})
_UP = frozenset({InstanceState.RUNNING, InstanceState.SHUTTING_DOWN})

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.lab.mains", "tests.lab.preload"])


@dataclass
class Charge:
    """One process that is to run, and how to start it."""

    name: str
    target: object
    arguments: tuple
    process: object = None

    def start(self):
        self.process = CONTEXT.Process(target=self.target, args=self.arguments, name=self.name, daemon=True)
        self.process.start()


class Supervisor:
    """Works in a thread of its own from `start` to `stop`."""

    def __init__(self, place, wire, calls_ec2):
        self._place, self._wire, self._calls_ec2 = place, wire, calls_ec2
        self._charges = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._dismounted = set()
        self.disks = {}  # instance → its agent's folder, also when its root volume is gone
        self.deaths = []  # names, in the order in which they died
        self.owners = {}  # instance → name of the workload and the file of the client's token

    def start(self):
        self._wire.faults.watch(self._after_a_call)
        with self._lock:
            self._begin("server", server_main, self._place)
            self._begin("coordinator", coordinator_main, self._place)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()
        for name in list(self._charges):
            self._end(name)
        for home in (self._place.root / "i").glob("*"):
            self._end_workload(home)

    def kill(self, name):
        """As an operator's kill -9: it is started anew like anything that died."""
        with self._lock:
            self._charges[name].process.kill()

    def pid(self, name):
        with self._lock:
            return self._charges[name].process.pid

    def _begin(self, name, target, *arguments):
        charge = self._charges[name] = Charge(name, target, arguments)
        charge.start()

    def _end(self, name):
        charge = self._charges.pop(name, None)
        if charge is not None:
            if not charge.process.is_alive():
                self.deaths.append(name)  # and its machine ended before it could be started anew
            charge.process.kill()
            charge.process.join()

    def _run(self):
        while not self._stop.is_set():
            with self._wire.exclusively() as ec2:
                happenings = ec2.happenings()
                self._mount(ec2)
            with self._lock:
                for happening in happenings:
                    self._react(happening)
                sentinels = {charge.process.sentinel: charge for charge in self._charges.values()}
            for died in wait(list(sentinels), TICK_SECONDS):
                self._revive(sentinels[died])

    def _react(self, happening):
        instance_id = happening.instance_id
        if happening.kind is HappeningKind.BOOTED:
            name, token_file = self.owners.get(instance_id, ("web", None))
            self._begin(instance_id, agent_main, self._place, instance_id, name, token_file, self._calls_ec2)
        elif happening.kind in _OVER:
            self._end(instance_id)
            self._end_workload(self._place.home(instance_id))

    def _revive(self, charge):
        if self._stop.wait(RESTART_SECONDS):
            return
        with self._lock:
            if self._charges.get(charge.name) is charge and not charge.process.is_alive():
                charge.process.join()
                self.deaths.append(charge.name)
                charge.start()

    def _after_a_call(self, call, _moment):
        """A volume that was just attached is there when the caller hears of it."""
        if call.action in {"AttachVolume", "DetachVolume"}:
            with self._wire.exclusively() as ec2:
                self._mount(ec2)

    def _mount(self, ec2):
        for machine in ec2.world.machines.values():
            if machine.instance_id in self._dismounted or machine.state is InstanceState.PENDING:
                continue
            home = self._place.home(machine.instance_id)
            home.mkdir(parents=True, exist_ok=True)
            up = machine.state in _UP
            if machine.state is InstanceState.TERMINATED:
                self._dismounted.add(machine.instance_id)
            for device, link in ((ROOT_DEVICE, "root"), (STATE_DEVICE, "vol")):
                volume = machine.volumes.get(device) if up else None
                mount(home / link, None if volume is None else volume.content)
                if volume is not None and link == "root":
                    self.disks[machine.instance_id] = volume.content.path / "agent"

    def _end_workload(self, home):
        """The guest is down: no process of it runs on."""
        try:
            os.kill(int((home / "pid").read_text()), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return
        (home / "pid").unlink()
