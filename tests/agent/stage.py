"""The stage of the agent's stories: the simulated EC2, machines with agents on them, one clock that runs them all."""

from dataclasses import replace
from datetime import timedelta

from spotguard.agent.agent import Agent
from spotguard.agent.desk import Ports
from spotguard.agent.settings import AgentSettings
from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.domain.errors import MetadataUnavailable
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.host.traffic import InstanceTraffic
from spotguard.ports.cloud import BlockDevice, LaunchRequest
from spotguard.simulation.machine import Fabric, Files, SimulatedDisk, SimulatedGate, SimulatedSync
from spotguard.simulation.records import Records, Register
from tests.agent.server import AGENT, CLIENT_TOKEN, FakeServer
from tests.cloud.scene import ONDEMAND, PRICES, QUIET, A, StoryClock

STATE = "/dev/sdf"
TAGS = {"spotguard:managed": "story", "spotguard:agent": AGENT}
STATE_VOLUME = (BlockDevice(STATE, 20),)


class Crash(BaseException):
    """The process dies here; also as a fault of the simulated EC2."""

    code = "crash"


EFFECTS = {
    *("replace", "append", "remove"),
    *("open", "close", "switch"),
    *(
        "run_instance",
        "create_image",
        "attach_volume",
        "detach_volume",
        "terminate_instance",
        "delete_volume",
    ),
}


class Peril:
    """Kills the process at its nth effect on the world, before it or after it, once."""

    def __init__(self):
        self.count, self.at, self.before = 0, None, False

    def kill_at(self, number, *, before):
        """Counted from now on."""
        self.at, self.before = self.count + number, before

    def around(self, effect, *arguments):
        self.count += 1
        if self.count == self.at and self.before:
            raise Crash
        answer = effect(*arguments)
        if self.count == self.at:
            raise Crash
        return answer


class Perilous:
    """Anything of the world, with a peril around what it does."""

    def __init__(self, thing, peril):
        self._thing, self._peril = thing, peril

    def __getattr__(self, name):
        method = getattr(self._thing, name)
        if name not in EFFECTS:
            return method
        return lambda *arguments: self._peril.around(method, *arguments)


class Host:
    """One machine and the agent process on it."""

    def __init__(self, stage, instance_id, installed_as=""):
        self.stage, self.instance_id, self.installed_as = stage, instance_id, installed_as
        self.files = stage.ec2.controls.content_at(instance_id, "/dev/xvda")
        self.peril = Peril()
        self.disk = Perilous(SimulatedDisk(self.files), self.peril)
        self.gate = Perilous(SimulatedGate(stage.ec2, stage.clock, stage.register, instance_id), self.peril)
        self.cloud = Perilous(stage.ec2, self.peril)
        self.quiesce = None  # the user's hooks
        self.crashes = 0
        self.agent = None
        self.due = {"start": stage.clock.now()}

    def build(self):
        stage = self.stage
        sync = stage.sync_of(self.instance_id)
        ports = Ports(
            link=stage.server,
            metadata=stage.ec2.metadata(self.instance_id),
            gate=self.gate,
            sync=sync,
            disk=self.disk,
            cloud=self.cloud,
            clock=stage.clock,
            quiesce=self.quiesce,
            traffic=Perilous(InstanceTraffic(stage.script, stage.ec2.traffic), self.peril),
        )
        settings = AgentSettings(
            logical_agent_id=self.installed_as or "web",
            client_token=stage.client_token if self.installed_as else None,
            command_wait_seconds=0,
            command_poll_seconds=5,
        )
        return Agent(ports, settings)

    def run(self, name):
        now = self.stage.clock.now()
        self.due.pop(name, None)
        try:
            if name == "start":
                self.agent = self.build()
                self.agent.start(now)
                again = None
            else:
                again = self.agent.duties[name].run(now)
        except MetadataUnavailable:
            self.due = {"start": now + timedelta(seconds=1)}
            return
        except Crash:
            self.crashes += 1
            self.due = {"start": now + timedelta(seconds=3)}
            return
        if again is not None:
            self.due[name] = again
        for rung in self.agent.bells.take():
            self.due[rung] = now

    def restart(self):
        self.due = {"start": self.stage.clock.now()}

    @property
    def primacy(self):
        return self.agent.desk.primacy


class Stage:
    """Everything together. `run` lives through seconds, in the order in which things are due."""

    def __init__(self, settings=QUIET, server=FakeServer):
        self.clock = StoryClock()
        settings = replace(settings, blank=Records)
        self.ec2 = SimulatedEc2(self.clock, 1, PRICES, ONDEMAND, settings=settings)
        self.image = self.ec2.controls.add_public_image("base", Files())
        self.register = Register()
        self.fabric = Fabric(bytes_per_second=2e9, seconds_per_pass=0.5)
        self.server = server(self.clock)
        self.client_token = CLIENT_TOKEN
        self.hosts: dict[str, Host] = {}
        self.script = None  # the users' traffic script, the same on every host

    def sync_of(self, instance_id):
        return SimulatedSync(self.ec2, self.clock, self.register, self.fabric, instance_id)

    def launch(self, pool=A, *, user_data="", devices=STATE_VOLUME, image=None, mode=Mode.SPOT):
        request = LaunchRequest(
            token=ClientToken(f"story-{len(self.hosts)}"),
            pool=pool,
            mode=mode,
            image_id=image or self.image,
            tags=TAGS,
            user_data=user_data,
            block_devices=devices,
        )
        return self.ec2.run_instance(request).instance_id

    def primary(self, **more):
        """A machine on which the user has installed the agent, serving."""
        instance_id = self.launch(**more)
        self.wait(10)
        host = self.hosts[instance_id] = Host(self, instance_id, installed_as="web")
        self.run(30)
        assert self.register.serving() == [instance_id]
        return host

    def order_launch(self, pool, devices=STATE_VOLUME):
        listed = [{"device": d.device, "size_gib": d.size_gib, "no_device": d.no_device} for d in devices]
        return {
            "pool_id": pool.id,
            "mode": "spot",
            "image_id": self.image,
            "tags": TAGS,
            "block_devices": listed,
        }

    def wait(self, seconds):
        self.clock.time += timedelta(seconds=seconds)
        self._happen()

    def run(self, seconds, until=lambda: False):
        end = self.clock.now() + timedelta(seconds=seconds)
        while not until():
            due = min(
                ((at, h.instance_id, name) for h in self.hosts.values() for name, at in h.due.items()),
                default=(end, "", ""),
            )
            event = self.ec2.next_event_at() or end
            moment = max(self.clock.now(), min(due[0], event, end))
            self.clock.time = moment
            self._happen()
            if moment >= end and due[0] > end:
                return
            host = self.hosts.get(due[1])
            if host is not None and due[0] <= moment and due[2] in host.due:
                host.run(due[2])
            elif moment >= end:
                return

    def _happen(self):
        for happening in self.ec2.happenings():
            known = self.hosts.get(happening.instance_id)
            if happening.kind is HappeningKind.BOOTED and known is None:
                self.hosts[happening.instance_id] = Host(self, happening.instance_id)
            if happening.kind in (HappeningKind.TERMINATED, HappeningKind.STOPPED) and known is not None:
                self.register.closed(happening.instance_id, self.clock.now())
                known.due = {}

    def nothing_lost(self):
        """No moment with two primaries, no acknowledged record missing."""
        assert self.register.overlaps == []
        assert self.register.losses == []
