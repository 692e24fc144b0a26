"""What stands beside the processes of a lab as EC2 and systemd do: starts an agent on each machine that has booted,
ends what runs on a machine that has ended, mounts volumes as they are attached, and starts anew what has died.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

from spotguard.bench.lab.folders import Folder, mount
from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.state import Happening, HappeningKind
from spotguard.cloud.simulated.wire.faults import Call, Moment
from spotguard.cloud.simulated.wire.server import WireServer
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.planning.switching import STATE_DEVICE

RESTART_SECONDS = 0.1  # systemd's own RestartSec
TICK_SECONDS = 0.02
ROOT_DEVICE = "/dev/xvda"
_OVER = frozenset({HappeningKind.TERMINATED, HappeningKind.STOPPED})
_UP = frozenset({InstanceState.RUNNING, InstanceState.SHUTTING_DOWN})


class Running(Protocol):
    """A started process, as `multiprocessing` shows one. `sentinel` becomes readable when it ends."""

    @property
    def sentinel(self) -> int: ...

    def is_alive(self) -> bool: ...

    def kill(self) -> None: ...

    def join(self) -> None: ...


Start = Callable[[], Running]
StartAgent = Callable[[InstanceId], Start]


@dataclass
class Charge:
    """One process that is to run, and how to start it. `is_held_back`: nobody starts it anew."""

    name: str
    begin: Start
    process: Running = field(init=False)
    is_held_back: bool = False

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.process = self.begin()


class Supervisor:
    """Works in a thread of its own from `start` to `stop`. `homes`: the folder with each instance's own."""

    def __init__(
        self, wire: WireServer, homes: Path, standing: Mapping[str, Start], agent: StartAgent
    ) -> None:
        """`standing`: what runs from the beginning, by name; `agent`: how one is started on an instance."""
        self._wire, self._homes, self._standing, self._agent = wire, homes, standing, agent
        self._charges: dict[str, Charge] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._dismounted: set[InstanceId] = set()
        self.disks: dict[str, Path] = {}  # instance → its agent's folder, also when its root volume is gone
        self.deaths: list[str] = []  # names, in the order in which they died

    def start(self) -> None:
        self._wire.faults.watch(self._after_a_call)
        with self._lock:
            for name, begin in self._standing.items():
                self._charges[name] = Charge(name, begin)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for name in list(self._charges):
            self._end(name)
        for home in self._homes.glob("*"):
            self._end_workload(home)

    def hold_back(self, name: str) -> None:
        """Kill -9, and nobody starts it anew until it is `let_go`."""
        with self._lock:
            charge = self._charges[name]
            charge.is_held_back = True
            charge.process.kill()
            charge.process.join()

    def let_go(self, name: str) -> None:
        with self._lock:
            charge = self._charges[name]
            charge.start()
            charge.is_held_back = False

    def _end(self, name: str) -> None:
        charge = self._charges.pop(name, None)
        if charge is not None:
            if not charge.process.is_alive():
                self.deaths.append(name)  # and its machine ended before it could be started anew
            charge.process.kill()
            charge.process.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._wire.exclusively() as ec2:
                happenings = ec2.happenings()
                self._mount(ec2)
            with self._lock:
                for happening in happenings:
                    self._react(happening)
                sentinels = {c.process.sentinel: c for c in self._charges.values() if not c.is_held_back}
            for died in wait(list(sentinels), TICK_SECONDS):
                if isinstance(died, int):
                    self._revive(sentinels[died])

    def _react(self, happening: Happening) -> None:
        instance_id = happening.instance_id
        if happening.kind is HappeningKind.BOOTED:
            self._charges[instance_id] = Charge(instance_id, self._agent(instance_id))
        elif happening.kind in _OVER:
            self._end(instance_id)
            self._end_workload(self._homes / instance_id)

    def _revive(self, charge: Charge) -> None:
        if self._stop.wait(RESTART_SECONDS):
            return
        with self._lock:
            is_mine = self._charges.get(charge.name) is charge and not charge.is_held_back
            if is_mine and not charge.process.is_alive():
                charge.process.join()
                self.deaths.append(charge.name)
                charge.start()

    def _after_a_call(self, call: Call, _moment: Moment) -> None:
        """A volume that was just attached is there when the caller hears of it."""
        if call.action in {"AttachVolume", "DetachVolume"}:
            with self._wire.exclusively() as ec2:
                self._mount(ec2)

    def _mount(self, ec2: SimulatedEc2) -> None:
        for machine in ec2.world.machines.values():
            if machine.instance_id in self._dismounted or machine.state is InstanceState.PENDING:
                continue
            home = self._homes / machine.instance_id
            home.mkdir(parents=True, exist_ok=True)
            up = machine.state in _UP
            if machine.state is InstanceState.TERMINATED:
                self._dismounted.add(machine.instance_id)
            for device, link in ((ROOT_DEVICE, "root"), (STATE_DEVICE, "vol")):
                volume = machine.volumes.get(device) if up else None
                content = None if volume is None else volume.content
                folder = content if isinstance(content, Folder) else None
                mount(home / link, folder)
                if folder is not None and link == "root":
                    self.disks[machine.instance_id] = folder.path / "agent"

    @staticmethod
    def _end_workload(home: Path) -> None:
        """The guest is down: no process of it runs on."""
        try:
            os.kill(int((home / "pid").read_text()), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return
        (home / "pid").unlink()
