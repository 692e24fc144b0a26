"""What an agent believes of a disk on which a bit has changed: nothing of the file, and of the others what is true."""

from itertools import product

import pytest

from spotguard.agent.files import Document
from spotguard.agent.primacy import Primacy
from spotguard.agent.serving import Serving
from spotguard.domain.instances import GateState, Mode
from spotguard.ports.checked_lines import Damaged
from spotguard.simulation.machine import SimulatedDisk
from tests.agent.stage import Host, Stage
from tests.cloud.scene import B


def test_a_damaged_disk_is_no_identity():
    stage = Stage()
    primary = stage.primary()
    primary.files.files["primacy"] = b"00000000 {}\n"
    primary.restart()
    stage.run(200)
    assert stage.register.serving() == [primary.instance_id], "the server says that it is the primary"
    assert primary.primacy.held == 1


def test_a_damaged_memory_with_a_closed_gate_lets_go_as_soon_as_the_server_says_what_it_holds():
    stage = Stage()
    primary = stage.primary()
    primary.primacy.pause()
    primary.files.files["primacy"] = b"00000000 {}\n"
    stage.server.away = True
    primary.restart()
    stage.run(200)
    assert primary.primacy.forgot
    stage.server.away = False
    stage.run(70)
    assert stage.register.serving() == [], "it may have let go, or its image may be under way"
    assert (primary.primacy.forgot, primary.primacy.released) == (False, 1)


class Late:
    """A gate whose workload is still being started by an agent of before, which its close alone ends."""

    def __init__(self, gate):
        self._gate, self.goes_on = gate, True

    def close(self):
        self._gate.close()
        self.goes_on = False

    def __getattr__(self, name):
        return getattr(self._gate, name)


def test_a_start_that_goes_on_behind_a_closed_gate_is_ended_before_a_damaged_memory_lets_go():
    stage = Stage()
    primary = stage.primary()
    primary.primacy.pause()
    primary.files.files["primacy"] = b"00000000 {}\n"
    primary.gate = Late(primary.gate)
    primary.restart()
    stage.run(70)
    assert (primary.primacy.released, primary.gate.goes_on) == (1, False)


class Sloppy:
    """A gate whose user's probe succeeds whatever runs."""

    def __init__(self, gate):
        self._gate = gate

    def healthy(self):
        return True

    def __getattr__(self, name):
        return getattr(self._gate, name)


def test_one_that_may_not_open_yet_does_not_say_that_it_serves_whatever_its_probe_says():
    stage = Stage()
    primary = stage.primary()
    primary.gate = Sloppy(primary.gate)
    primary.restart()
    stage.run(70)
    primary.primacy.pause()
    order = stage.server.order(primary.instance_id, "promote", {"switch_id": None, "epoch": 1}, epoch=1)
    stage.run(60)
    assert stage.register.serving() == []
    assert order.result is None


@pytest.mark.parametrize("number", range(1, 13))
def test_one_killed_while_it_takes_up_a_damaged_memory_tells_nothing_that_it_had_to_tell_before(number: int):
    """Some of it is of what it does not know any more."""
    stage = Stage()
    primary = stage.primary()
    primary.primacy.pause()
    stage.server.away = True
    primary.agent.desk.report("switch:1:released", "switch", "switch-report", {"released": 1})
    primary.files.files["primacy"] = b"00000000 {}\n"
    primary.peril.kill_at(number, before=False)
    primary.restart()
    stage.run(20)
    stage.server.away = False
    stage.run(200)
    assert stage.server.reports("switch-report") == []
    assert primary.primacy.released == 1


@pytest.mark.parametrize("damaged", ["primacy", "enrolment"])
def test_a_damaged_memory_of_the_epoch_is_not_one_of_where_the_state_lies(damaged: str):
    """Without it the workload opens on an empty mount point, and the next pass takes the standby's good copy away."""
    stage = Stage()
    primary = stage.primary()
    primary.disk.replace("state-mount", b"/srv/state, on vol-1")
    primary.files.files[damaged] = b"00000000 {}\n"
    primary.restart()
    stage.run(70)
    assert primary.disk.read("state-mount") == b"/srv/state, on vol-1"


class Unaskable:
    """A gate whose `status` does not answer: whoever must be sure that it is closed is not."""

    def state(self) -> GateState:
        return GateState.OPEN

    def healthy(self) -> bool:
        return False

    def open(self, epoch: int, before: object = None) -> None: ...

    def close(self) -> None: ...


def test_a_gate_that_cannot_be_asked_does_not_tell_that_nothing_was_released():
    stage = Stage()
    primary = stage.primary()
    primacy = Primacy(primary.disk, Unaskable(), stage.clock, 10.0, Serving(stage.clock), lambda: None)
    primacy.forget(primary.agent.desk.me, was_this_boot=True)
    assert primacy.forgot


def started_by_its_boot(*, same, damaged):
    """A clone, or the same machine after another boot, whose workload came up by itself; its server is away."""
    stage = Stage()
    primary = stage.primary(mode=Mode.ONDEMAND)
    stage.server.away = True
    other = primary.instance_id if same else stage.launch(B)
    stage.wait(10)
    if same:
        stage.ec2.controls.stop(other)
        stage.run(120)
        stage.ec2.controls.start(other)
        stage.run(60)
    second = Host(stage, other, installed_as="web")
    second.files.files.update(primary.files.files)
    second.files.files[damaged] = b"00000000 {}\n"
    stage.register.closed(primary.instance_id, stage.clock.now())
    second.gate.open(0)
    stage.hosts[other] = second
    return stage, second


@pytest.mark.parametrize("same", [False, True], ids=["clone", "another boot"])
def test_an_open_gate_tells_nothing_of_another_identitys_damaged_memory(same: bool):
    """A boot that starts the workload by itself: what ran before may have been handed over."""
    stage, second = started_by_its_boot(same=same, damaged="primacy")
    stage.run(30)
    assert second.primacy.gate_state() is GateState.CLOSED
    assert second.primacy.forgot is same


def test_a_damaged_enrolment_keeps_what_is_known_of_the_epoch():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    stage.register.closed(primary.instance_id, stage.clock.now())
    primary.files.files["enrolment"] = b"00000000 {}\n"
    primary.restart()
    stage.run(30)
    assert stage.register.serving() == [primary.instance_id], "the same boot, and never released"
    stage.server.away = False
    stage.run(70)
    assert primary.agent.desk.is_enrolled


@pytest.mark.parametrize("name", ["primacy", "enrolment", "signals", "commands"])
def test_what_another_version_has_written_keeps_no_agent_from_its_start(name: str):
    """After a step back to an older one: it would end again and again, and hear no notice of EC2's."""
    stage = Stage()
    primary = stage.primary()
    Document(SimulatedDisk(primary.files), name).write({"instance_id": ["of", "another", "shape"], "seen": 1})
    primary.restart()
    stage.run(200)
    assert stage.register.serving() == [primary.instance_id]
    assert (primary.primacy.held, primary.agent.desk.is_enrolled) == (1, True)


def test_no_flipped_bit_makes_another_epoch_of_what_stands_on_the_disk():
    primary = Stage().primary()
    whole = primary.files.files["primacy"].removesuffix(b"\n")
    document = Document(SimulatedDisk(primary.files), "primacy")
    written = document.read()
    assert written["held"] == 1
    for place, bit in product(range(len(whole)), range(8)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        primary.files.files["primacy"] = bytes(flipped)
        try:
            assert document.read() == written, "the checksum's own letters have two cases"
        except Damaged:
            continue
