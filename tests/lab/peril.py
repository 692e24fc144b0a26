"""Sudden death at named points: before or after an effect on the world, once each, by SIGKILL from the process itself.

A point is armed by a file and fires by renaming it, which only one process can do, and which proves that the point was
reached; so the process that is started anew lives.
"""

import os
import signal
from dataclasses import replace
from enum import StrEnum

from spotguard.store.database import Database
from tests.lab import effects


class Moment(StrEnum):
    """On which side of the effect."""

    BEFORE = "before"
    AFTER = "after"


class Peril:
    """What the processes of one lab share: the points at which one of them is to die."""

    def __init__(self, root):
        self._armed, self._fired = root / "armed", root / "fired"
        self._armed.mkdir(exist_ok=True)
        self._fired.mkdir(exist_ok=True)

    def arm(self, points):
        """`points`: (effect, moment) each."""
        for effect, moment in points:
            (self._armed / _file(effect, moment)).touch()

    def disarm(self):
        """Those that were reached since they were armed."""
        for file in self._armed.iterdir():
            file.unlink(missing_ok=True)
        reached = {_point(file.name) for file in self._fired.iterdir()}
        for file in self._fired.iterdir():
            file.unlink()
        return reached

    def armed(self):
        """The effects at which somebody is to die."""
        return {_point(name)[0] for name in os.listdir(self._armed)}  # noqa: PTH208 - at every effect, hence fast

    def at(self, moment, named):
        """`named`: the effects that are about to happen, or have just happened."""
        for effect in named:
            self._die(_file(effect, moment))

    def around(self, named, work):
        self.at(Moment.BEFORE, named)
        answer = work()
        self.at(Moment.AFTER, named)
        return answer

    def _die(self, point):
        try:
            (self._armed / point).rename(self._fired / point)
        except FileNotFoundError:
            return  # nobody is to die here, or another process was first
        os.kill(os.getpid(), signal.SIGKILL)


def _file(effect, moment):
    return f"{effect}|{moment}".replace("/", "+")


def _point(file):
    effect, _, moment = file.replace("+", "/").partition("|")
    return effect, Moment(moment)


class Perilous:
    """A port whose named methods are perilous; `namer(method, arguments, keywords)` names their effects."""

    def __init__(self, thing, peril, namer, methods):
        self._thing, self._peril, self._namer, self._methods = thing, peril, namer, methods

    def __getattr__(self, name):
        method = getattr(self._thing, name)
        if name not in self._methods:
            return method

        def perilous(*arguments, **keywords):
            named = self._namer(name, arguments, keywords) if self._peril.armed() else ()
            return self._peril.around(named, lambda: method(*arguments, **keywords))

        return perilous


def perilous_ports(ports, peril):
    """An agent's ports, each effect on the world perilous."""
    cloud = ports.cloud
    return replace(
        ports,
        disk=Perilous(ports.disk, peril, lambda *call: effects.of_disk(ports.disk, *call), effects.DISK),
        gate=Perilous(ports.gate, peril, lambda name, *_: effects.of_gate(name), effects.GATE),
        link=Perilous(ports.link, peril, lambda *call: effects.of_link(ports.disk, *call), effects.LINK),
        sync=Perilous(ports.sync, peril, lambda *_: effects.of_push(ports.disk), effects.SYNC),
        cloud=None if cloud is None else perilous_cloud(cloud, peril),
    )


def perilous_cloud(cloud, peril):
    return Perilous(cloud, peril, lambda name, *_: effects.of_cloud(name), effects.CLOUD)


class PerilousDatabase(Database):
    """Each commit that gets a move on is perilous: with its work done and not committed, and just after."""

    peril: Peril

    def write(self, work):
        if not any("commit" in effect for effect in self.peril.armed()):
            return super().write(work)
        named = set()

        def perilous(tx):
            before = effects.rows(tx)
            answer = work(tx)
            named.clear()
            named.update(effects.of_rows(before, effects.rows(tx)))
            self.peril.at(Moment.BEFORE, named)
            return answer

        answer = super().write(perilous)
        self.peril.at(Moment.AFTER, named)
        return answer
