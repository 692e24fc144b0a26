"""`ports.workload.StateSync` with rsync: every pass goes into a folder of its own, and counts once it is marked whole.

On the target (`host.inbox`) files that have not changed are hard links to the former pass. The mark goes last: half a
pass is never taken for a whole one. `adopt` swaps the newest whole pass into the place of the state before the
workload opens there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from spotguard.domain.errors import StateMissing, SyncFailed
from spotguard.host.clock import boot_id, since_boot
from spotguard.host.inbox import KEPT_BROKEN, Inbox, delete_former, former, pass_id
from spotguard.host.known_folders import NO_FOLDERS, KnownFolders
from spotguard.host.notes import Notes
from spotguard.host.second_look import SecondLook
from spotguard.host.sheet import sheet
from spotguard.host.state_folder import Linked, StateFolder, folders_of, listed
from spotguard.host.state_mount import StateMount
from spotguard.host.sync_memory import NEVER, Sent, SyncMemory, memory_of
from spotguard.host.term import UNKNOWN_TERM, Term
from spotguard.host.transport import RsyncTransport, laid_at, names_kept_in
from spotguard.host.under_way import UnderWay
from spotguard.host.write_back import WriteBack
from spotguard.ports.workload import Received, SyncPass, SyncTarget

AT_ONCE_SECONDS = 0.5  # so long a call waits for rsync; a larger pass is asked after again
UNDER_WAY_NANOSECONDS = 10_000_000_000
"""A write has its time when it begins: so long its bytes may still be on their way to a disk that stalls."""
EVERYTHING = (
    "--archive",
    "--hard-links",
    "--acls",
    "--xattrs",
    "--xattrs",  # by the second those too that rsync --fake-super writes: a backup server has owners and modes in them
    "--numeric-ids",
    "--sparse",  # a file that is mostly holes would fill the target's disk
    "--fsync",  # a mark says that the pass is there, after a crash of the target as well
)
# Else a file rewritten within one second, its size unchanged, counts as the same. The receiver compares, and rrsync
# refuses the short form in which rsync would tell it.
TO_THE_NANOSECOND = (
    "--remote-option=--modify-window=-1"  # rsync 3.5.0 breaks off with a list of files besides
)


class RsyncSync:
    """`state` is the folder of the workload's state, `inbox` where passes arrive on a standby."""

    def __init__(
        self,
        state: Path,
        inbox: Path,
        transport: RsyncTransport,
        term: Term = UNKNOWN_TERM,
        mount: StateMount | None = None,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        """`mount`: what knows where the state lies; None: it is taken to be in its place."""
        self._term, self._mount, self._boot = term, mount, boot
        self._transport, self._memory = transport, SyncMemory(memory_of(state), inbox)
        self._inbox = Inbox(inbox, term.agent)
        self._state = StateFolder(state, self._memory)
        self._notes = Notes(inbox, transport)
        self._under_way: dict[str, UnderWay] = {}
        self._write_backs: dict[str, WriteBack] = {}
        self._pushing = threading.Lock()  # the duties of moves and of standbys both push

    def delivers_notes(self) -> bool:
        return True

    def can_sync(self) -> bool:
        return True

    def position(self) -> int:
        return self._state.look()[0]

    def push(self, target: SyncTarget) -> SyncPass | None:
        with self._pushing:
            return self._push(target)

    def _push(self, target: SyncTarget) -> SyncPass | None:
        under_way = self._under_way.get(target.instance_id)
        try:
            if under_way is None:
                under_way = self._begin(target)
            if under_way is None or not self._carry_on(under_way, target):
                return None
        except StateMissing:
            self._broken(target)
            raise
        except (OSError, SyncFailed) as error:
            self._broken(target)
            raise SyncFailed(f"{target.instance_id}: {error}") from error
        sent = Sent(under_way.id, (), under_way.began_ns, under_way.clock_ns, boot=under_way.boot)
        self._memory.keep_sent(target.instance_id, sent, under_way.kept_folders())
        self._forget(target)
        if self._mount is not None:
            self._mount.passed()
        taken = since_boot() - under_way.begun
        return SyncPass(under_way.position, under_way.sent_bytes, taken, taken)

    def received(self) -> Received:
        """What could not take the state's place is no standby's: it would be found out when nobody serves any more."""
        try:
            because = self._inbox.why_not_swapped(self._state.path)
            if because is not None:
                raise SyncFailed(f"no pass can take the place of {self._state.path}: {because}")
            return self._inbox.received(since=self._served_here)
        except OSError as error:
            raise SyncFailed(f"{self._inbox.folder} cannot be read: {error}") from error

    def arrives(self, epoch: int) -> bool:
        """Whether a pass that was received here is to be the state: else one that comes late lifts the guard of a
        state that is not mounted, and is not put in its place. What is remembered is asked only then: below a mount
        point nothing is made for nothing.
        """
        if self._inbox.adoptable(since=NEVER, before=epoch) is None:
            return False
        return self._inbox.adoptable(since=self._served_since(epoch), before=epoch) is not None

    def adopt(self, epoch: int) -> str | None:
        """Put the newest whole pass in the place of the state; its id, or None when there is nothing newer.

        Once for each epoch: what arrives later, from whoever served before, is older than what is served here.
        """
        known, me = self._memory.known, self._term.instance()
        arrived = self._inbox.adopt(self._state.path, since=self._served_since(epoch), before=epoch)
        position = max(known.position, arrived.mark.position if arrived else 0)
        if epoch != known.epoch or me not in (None, known.by) or self._is_of_another_agent:
            # who has sent it has cleared its own inbox when it took over from here
            sent = {} if arrived is not None else self._sent_until(me)
            self._memory.keep(epoch=epoch, by=me, agent=self._term.agent(), position=position, sent=sent)
        if self._mount is not None:
            self._mount.opens(arrived=arrived is not None)
        # nobody waits for it: of a large state it takes longer than a workload may be away
        clear = partial(self._clear, former(self._state.path), None if arrived is None else epoch)
        threading.Thread(target=clear, daemon=True).start()
        return None if arrived is None else arrived.id

    def _sent_until(self, me: str | None) -> dict[str, Sent]:
        """Before this instance opens: while another one served here its crash left no new boot to whoever it was."""
        known = self._memory.known
        if me is not None and me == known.by:
            return known.sent
        return {target: replace(sent, boot="") for target, sent in known.sent.items()}

    def _clear(self, states: list[Path], arrived_before: int | None) -> None:
        delete_former(states)
        if arrived_before is None:
            self._inbox.finish_clearing()
        else:
            self._inbox.clear(arrived_before)

    @property
    def _served_here(self) -> int:
        """Under which epoch this very instance has served: it is granted none but later ones."""
        known = self._memory.known
        is_own = known.by is not None and known.by == self._term.instance()
        return known.epoch if is_own and not self._is_of_another_agent else NEVER

    def _served_since(self, epoch: int) -> int:
        """Under which epoch the state here was served. What another agent's instance remembered, of which this disk is
        an image, says nothing: its epochs were counted elsewhere.
        """
        known, me = self._memory.known, self._term.instance()
        is_others = known.epoch == epoch and None not in (known.by, me) and known.by != me
        says_nothing = known.epoch > epoch or is_others or self._is_of_another_agent
        return NEVER if says_nothing else known.epoch

    @property
    def _is_of_another_agent(self) -> bool:
        """What is remembered here."""
        whose, agent = self._memory.known.agent, self._term.agent()
        return None not in (whose, agent) and whose != agent

    def deliver(self, target: SyncTarget, name: str, content: bytes) -> None:
        self._notes.deliver(target, name, content)

    def delivered(self, name: str) -> bytes | None:
        return self._notes.delivered(name)

    # the primary's side

    def _require_state(self) -> None:
        if self._mount is not None:
            self._mount.require_for_pass()

    def _begin(self, target: SyncTarget) -> UnderWay | None:
        """None while it waits for what is written back before it."""
        self._require_state()
        if not self._state.path.is_dir():
            raise SyncFailed(f"{self._state.path} is not a folder")
        self._recall_term()
        write_back = self._write_backs.pop(target.instance_id, None) or WriteBack(self._state.path)
        runs = self._term.runs()
        if runs is not False and not write_back.carry_on(AT_ONCE_SECONDS):
            self._write_backs[target.instance_id] = write_back
            return None
        begun = self._under_way[target.instance_id] = self._look(
            target, write_back, may_write=runs is not False
        )
        return begun

    def _look(self, target: SyncTarget, write_back: WriteBack, *, may_write: bool) -> UnderWay:
        """What begins while the workload may run never claims to be all of it: a write may be under way."""
        sent = self._memory.sent_to(target.instance_id)
        is_linked = sent.whole is not None or bool(sent.broken)
        boot = self._boot()
        since_ns = sent.times_tell_since_ns(write_back.began_ns, write_back.clock_ns, boot)
        linked = Linked(since_ns - UNDER_WAY_NANOSECONDS, self._memory.folders_of(sent))
        position, seen = self._state.look(linked if is_linked else None)
        known = self._memory.known
        known = self._memory.keep(last=max(known.last + 1, time.time_ns() // 1000))
        return UnderWay(
            id=pass_id(known.epoch, known.last),
            position=position if seen.settled and not may_write else position - 1,
            size_bytes=seen.size_bytes,
            agent=self._term.agent(),
            begun=write_back.begun,
            began_ns=write_back.began_ns,
            clock_ns=write_back.clock_ns,
            boot=boot,
            stages=[
                *([] if sent.whole else ["begun"]),
                "data",
                "changed",  # also where nothing has: it breaks where the data are not, and no mark is laid
                "whole",
                "synced",
            ],
            changed=seen.changed,
            may_write=may_write,
            folders=folders_of(self._state.path, seen),
            second_look=SecondLook(self._state.path, seen.folders, write_back.began_ns, write_back.clock_ns),
        )

    def _recall_term(self) -> None:
        """A memory that was lost would number this pass below those that the target has, and one of another agent's
        epochs above any that is granted here: neither would be adopted.
        """
        held, known = self._term.held(), self._memory.known.epoch
        if held is None or held == known:
            return
        if not (self._term.runs() and self._term.has_opened()):
            raise SyncFailed(
                f"this instance holds epoch {held}, and of the state here is known only epoch {known}: "
                "no pass until the workload is open"
            )
        self._memory.keep(epoch=held, by=self._term.instance(), agent=self._term.agent())

    def _carry_on(self, under_way: UnderWay, target: SyncTarget) -> bool:
        """True when the mark of the whole pass is on the target's disk. A small pass is carried through at once."""
        until = time.monotonic() + AT_ONCE_SECONDS
        while under_way.may_start(until):
            if not under_way.stages:
                return True
            if under_way.stages[0] == "whole" and not self._lacks(under_way):
                self._require_state()  # it was there all the time, or its absence was copied
            with sheet(under_way.given()) as given:
                under_way.start(self._transport, self._arguments(under_way, target), given)
        return False

    def _lacks(self, under_way: UnderWay) -> bool:
        """What was renamed meanwhile is sent before it is marked. Of a workload that is stopped nobody looks: a move
        waits for its last pass.
        """
        if not self._may_change(under_way):
            return False
        under_way.changed = b"".join(map(listed, under_way.second_look.lacking()))
        if under_way.changed:
            under_way.stages.insert(0, "changed")
        return bool(under_way.changed)

    def _may_change(self, under_way: UnderWay) -> bool:
        return under_way.may_write or self._term.runs() is not False

    def _arguments(self, under_way: UnderWay, target: SyncTarget) -> list[str]:
        inbox, kind = self._transport.inbox(target), under_way.stages[0]
        if kind in ("begun", "whole"):
            return laid_at(f"{inbox}/marks/{under_way.id}.{kind}", "--fsync")
        if kind == "synced":
            return names_kept_in(f"{inbox}/marks")
        passes = f"{self._transport.inner(target)}/passes"
        sent = self._memory.sent_to(target.instance_id)
        links = [TO_THE_NANOSECOND, "--mkpath"] + [
            f"--link-dest={passes}/{one}" for one in (sent.whole, *sent.broken) if one is not None
        ]
        there = f"{inbox}/passes/{under_way.id}/"
        if kind == "changed":  # whatever size and time say: times can be set back, and a tick is long
            there += "."  # of that name rsync makes no folder: it would be a pass of nothing but these
            links = [
                "--ignore-times",
                "--no-whole-file",
                "--ignore-missing-args",
                "--from0",
                "--files-from=-",
            ]
        return [
            *EVERYTHING,
            "--stats",
            "--no-human-readable",
            *links,
            f"{self._state.path}/",
            there,
        ]

    def _broken(self, target: SyncTarget) -> None:
        """The files of it that have arrived are not sent again: the next pass is linked to it as well."""
        under_way = self._under_way.get(target.instance_id)
        if under_way is not None and "begun" not in under_way.stages:
            sent = self._memory.sent_to(target.instance_id)
            broken = (*sent.broken, under_way.id)[-KEPT_BROKEN:]
            is_first = not (sent.whole or sent.broken)
            since_ns = under_way.began_ns if is_first else sent.since_ns
            clock_ns = under_way.clock_ns if is_first else sent.clock_ns
            boot = under_way.boot if is_first else sent.boot
            folders = self._kept_folders(under_way)
            if not is_first:
                folders = folders.common_with(self._memory.folders_of(sent))
            kept = Sent(sent.whole, broken, since_ns, clock_ns, boot=boot)
            self._memory.keep_sent(target.instance_id, kept, folders)
        self._forget(target)

    def _kept_folders(self, under_way: UnderWay) -> KnownFolders:
        """Of a pass that breaks: nobody has looked yet what had another name while rsync read."""
        if self._may_change(under_way):
            try:
                under_way.second_look.break_off()
            except (OSError, SyncFailed):  # nobody knows: all is read again
                return NO_FOLDERS
        return under_way.kept_folders()

    def keep_only(self, instance_ids: Collection[str]) -> None:
        with self._pushing:
            for gone in self._under_way.keys() - set(instance_ids):
                self._under_way.pop(gone).end()
            for gone in self._write_backs.keys() - set(instance_ids):
                del self._write_backs[gone]

    def close(self) -> None:
        """No run of rsync is left behind; what was under way counts for nothing."""
        self.keep_only(())

    def _forget(self, target: SyncTarget) -> None:
        under_way = self._under_way.pop(target.instance_id, None)
        if under_way is not None:
            under_way.end()
