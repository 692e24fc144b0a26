"""What this instance remembers of its epochs: on the disk before it counts, and whose it is."""

from __future__ import annotations

from dataclasses import replace

from spotguard.agent.files import Document
from spotguard.agent.held import Held
from spotguard.ports.disk import Disk
from spotguard.ports.metadata import Identity


class Memory:
    """The value on the disk, and in `now`. One thread at a time changes it: its owner sees to that."""

    NAME = "primacy"

    def __init__(self, disk: Disk) -> None:
        self._document = Document(disk, self.NAME)
        self.now = Held()
        self.was_anothers = False  # what stood on the disk

    def load(self, me: Identity) -> bool:
        """Read the disk: True if it is this identity's. `Damaged` passes through.

        What another instance wrote is a clone's heritage and counts as nothing. After another boot of this one
        whoever serves is the server's to say; what was released stays released.
        """
        found = self._document.read_as(Held) or Held()
        is_ours = (found.instance_id, found.boot_id) == (me.instance_id, me.boot_id)
        self.was_anothers = bool(found.instance_id) and not is_ours
        if found.instance_id != me.instance_id:
            found = Held(me.instance_id, me.boot_id)
        elif found.boot_id != me.boot_id:
            found = found.of_boot(me.boot_id)
        self.now = found
        return is_ours

    def begin_anew(self, now: Held) -> None:
        """In place of what cannot be read."""
        self.now = now
        self._document.write(now)

    def keep(self, now: Held, *, at_any_rate: bool = False) -> None:
        """It counts once it is written. `at_any_rate`: what the disk does not take is owed to it until `settle`."""
        if now != self.now:
            self._document.write(now, at_any_rate=at_any_rate)
            self.now = now

    def remember(self, now: Held) -> None:
        """It counts at once: a full disk must not have the workload stopped and opened again and again."""
        if now != self.now:
            self.now = now
            self._document.write(now)

    def overrule(self, held: int) -> None:
        """What is held is another's: that counts whatever becomes of the write."""
        self.now = replace(self.now, paused=True, over=held)
        self._document.write(self.now, at_any_rate=True)

    def see(self, epoch: int) -> None:
        """In the write that follows."""
        self.now = self.now.seeing(epoch)

    def settle(self) -> None:
        """What was kept at any rate is on the disk; `OSError` while it takes nothing."""
        self._document.settle()
