"""What says that the workload is frozen is damaged: the freezer is gone all the same."""

from spotguard.agent.quiet import Quiet
from spotguard.simulation.machine import Files, SimulatedDisk
from tests.agent.test_quiet import Hooks
from tests.cloud.scene import StoryClock


def test_a_damaged_note_of_a_freeze_still_has_it_thawed():
    files, hooks, clock = Files(), Hooks(), StoryClock()
    disk = SimulatedDisk(files)
    Quiet(disk, hooks, clock).freeze()
    content = files.files["frozen"]
    files.files["frozen"] = bytes([content[0] ^ 1]) + content[1:]
    Quiet(disk, hooks, clock).recover()  # the next process
    assert not hooks.frozen
