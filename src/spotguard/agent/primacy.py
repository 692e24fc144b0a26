"""The epoch that this instance holds, and the gate that belongs to it (rulings B4 to B4b).

The gate opens only with an epoch that the server told this instance, or that its holder has handed to it with a ticket
of the server's. A released epoch is written down before anybody hears of the release, and no epoch up to it ever opens
the gate again. Whether a release hands a ticket over or destroys it is part of the same write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from spotguard.agent.held import HandedOver, Held, InHand, names
from spotguard.agent.memory import Memory
from spotguard.agent.serving import Serving
from spotguard.domain.errors import GateFailed, Refused, StartFailed
from spotguard.domain.instances import GateState
from spotguard.execution.old_half import Heir
from spotguard.ports.clock import Clock
from spotguard.ports.disk import Disk
from spotguard.ports.metadata import Identity
from spotguard.ports.workload import REHEARSAL, Gate


class Primacy:
    """Implements `execution.old_half.Holding`. One thread at a time moves the gate."""

    NAME = Memory.NAME

    def __init__(
        self,
        disk: Disk,
        gate: Gate,
        clock: Clock,
        expected_flush_seconds: float,
        serving: Serving,
        opened: Callable[[], None],
    ) -> None:
        """`opened` hears of every opening of the gate, whoever wanted it."""
        self._memory = Memory(disk)
        self._gate, self._clock, self._serving, self._opened = gate, clock, serving, opened
        self._expected_flush_seconds = expected_flush_seconds
        self._lock = threading.RLock()
        self._confirmed: int | None = None  # the epoch that the server told this process, or a ticket gave it
        self._anothers = 0  # the newest that it told this process to be another's
        self._rehearsing = False
        # False: it was started, and does not run yet; None: nobody has looked here
        self._is_up: bool | None = None

    def load(self, me: Identity) -> bool:
        """As `Memory.load`. `Damaged` passes through: who cannot remember what it released is to `forget` it."""
        with self._lock:
            return self._memory.load(me)

    @property
    def was_anothers(self) -> bool:
        return self._memory.was_anothers

    @property
    def _now(self) -> Held:
        return self._memory.now

    def forget(self, me: Identity, *, was_this_boot: bool) -> None:
        """What stands on the disk is not what was written: nobody knows what was released or handed over here.

        A gate that is open tells that nothing was: it closes before that, and for ever. One that cannot be asked counts
        as open, and serves only if it is healthy besides. That of another boot, or of one that nobody knows, tells
        nothing: a boot may have opened it. `was_this_boot`: what is damaged is of this one.
        """
        with self._lock:
            forgot = not (was_this_boot and self._is_open())
            self._memory.begin_anew(Held(me.instance_id, me.boot_id, forgot=forgot))

    @property
    def forgot(self) -> bool:
        return self._now.forgot

    def recall(self, epoch: int | None, ticket_id: str | None) -> None:
        """The server says that this instance holds `epoch` (None: none). `ticket_id`: which may be given or used.

        The gate was closed, perhaps for ever, and perhaps an image or a last pass of what was written is under way: the
        epoch is let go of. Of the ticket nobody hears from here that it is destroyed: its other end says.
        """
        with self._lock:
            now = replace(self._now, forgot=False, doubted=ticket_id)
            if epoch is not None:
                self._serving.forbid()
                self._gate.close()  # also where it is closed: a start of before may go on still
                now = replace(now, released=max(epoch, now.released))
            self._memory.keep(now)

    def _is_open(self) -> bool:
        """Surely: of one that counts as open since it cannot be asked nobody knows."""
        try:
            return self._gate.state() is GateState.OPEN and self._gate.healthy()
        except GateFailed:
            return False

    @property
    def held(self) -> int | None:
        return self._now.held

    @property
    def has_opened(self) -> bool:
        """The gate has opened for the epoch that is held: the state here is its state."""
        now = self._now
        return now.held is not None and now.follows != now.held

    @property
    def confirmed(self) -> int | None:
        """The epoch that is held, that the server has told this process, and that no move has paused."""
        held = self._now.held
        return held if held == self._confirmed and not self._now.paused else None

    @property
    def released(self) -> int:
        return self._now.released

    @property
    def known(self) -> int:
        """The newest epoch that the server has told of."""
        return self._now.known

    @property
    def ticket(self) -> InHand | None:
        """With which this holder may hand over by itself."""
        return self._now.ticket

    @property
    def handed(self) -> HandedOver | None:
        """The hand-over by a ticket that the server does not know of yet, given or taken."""
        return self._now.handed

    @property
    def destroyed(self) -> tuple[str, ...]:
        return self._now.destroyed

    @property
    def paused(self) -> bool:
        return self._now.paused

    @property
    def flush_seconds(self) -> float:
        measured = self._now.flush_seconds
        return self._expected_flush_seconds if measured is None else measured

    def gate_state(self) -> GateState:
        return self._gate.state()

    def healthy(self) -> bool:
        return self._gate.healthy()

    def told(self, epoch: int) -> bool:
        """The server says that this instance holds `epoch`; False when that is over here, or a newer one was told of:
        a promotion may have waited while this instance was stopped, and somebody else was granted the next.
        """
        with self._lock:
            if epoch <= self._now.released:
                return False
            if epoch < max(self._anothers, self._now.known):
                return False
            if self._now.forgot:
                return True  # as soon as the server has told of the tickets too
            held = self._now.held
            if held is not None and epoch < held:
                return False
            self._memory.see(epoch)
            if epoch != held:
                self._memory.keep(replace(self._now.without_ticket(), held=epoch, paused=False))
            self._confirmed = epoch
            self._allow()
            return True

    def ensure_open(self) -> bool:
        """Open the gate if it should be; True when it has just been opened. `GateFailed` passes through.

        While another thread moves the gate, that one decides. What something else has started before the epoch came
        runs on a state that no received pass has replaced: it is stopped first.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            epoch = self._now.held
            if epoch is None or self._now.paused or self._now.is_over:
                return False
            was_closed = self._gate.state() is not GateState.OPEN
            if not was_closed and not self.has_opened:
                self._serving.forbid()
                self._gate.close()
                self._allow()  # what a look has seen before is forgotten
                was_closed = True
            has_come = was_closed or self._is_up is False
            if has_come or self._is_up is None:  # an agent before this one may have started it
                self._open(epoch)
            if has_come:
                self._opened()
            self._note_opened(epoch)
            return has_come
        finally:
            self._lock.release()

    def _open(self, epoch: int) -> None:
        """One that needs longer than is waited for is not stopped for that: it runs on the state that belongs here.
        What something else has started since the look runs on another.
        """
        begun: list[int] = []
        try:
            self._gate.open(epoch, lambda: begun.append(epoch))
        except StartFailed:
            self._is_up = False
            with suppress(OSError):
                self._memory.remember(replace(self._now, follows=None))
            raise
        if not begun and not self.has_opened and self._is_up is not False:
            self._gate.close()
            raise GateFailed(
                "something else had started the workload before its state was in place: it is stopped"
            )
        self._is_up = True

    def ensure_closed(self) -> None:
        """Who holds no epoch serves nothing."""
        with self._lock:
            if self._now.held is None and not self._rehearsing:
                self._serving.forbid()
                if self._gate.state() is GateState.OPEN:
                    self._gate.close()

    def rehearse(self) -> None:
        """Open the gate of a clone in quarantine for a probe: no traffic is fetched. `GateFailed` passes through."""
        with self._lock:
            if self._now.held is not None:
                raise Refused("this instance holds an epoch: it rehearses nothing")
            self._rehearsing = True
            if self._gate.state() is not GateState.OPEN:
                self._gate.open(REHEARSAL)

    def end_rehearsal(self) -> None:
        with self._lock:
            self._rehearsing = False
            self.ensure_closed()

    def fence(self, epoch: int) -> bool:
        """The server has granted `epoch` to another one: unless that is older than ours, ours is over."""
        with self._lock:
            self._anothers = max(self._anothers, epoch)
            held = self._now.held
            if held is None or epoch < held:
                return False
            self._confirmed = None  # although the gate may not close at once: no traffic is fetched any more
            self._serving.forbid()
            # nor is what stops later than we wait for started again, also by the next agent; a full disk must not keep
            # it from stopping
            self._memory.overrule(held)
            self._gate.close()
            self._memory.keep(self._now.let_go(held, None, self._clock.now()))
            return True

    def give_up(self) -> None:
        """A move has paused what is held here, and nobody knows how far it came. `GateFailed` passes through, and
        `end_what_is_over` goes on: an agent that was killed in `pause` has not closed, or not ended a late start.
        """
        with self._lock:
            if self._now.held is not None:
                self.fence(self._now.held)

    def end_what_is_over(self) -> bool:
        """What an agent before this one could not close. `GateFailed` passes through."""
        with self._lock:
            held = self._now.held
            return held is not None and self._now.is_over and self.fence(max(held, self._now.known))

    def pause(self, *, at_any_rate: bool = False) -> None:
        with self._lock:
            self._serving.forbid()
            try:
                self._memory.keep(replace(self._now, paused=True), at_any_rate=at_any_rate)
            except OSError:
                self._allow()  # the gate stays open
                raise
            was_open, begun = self._gate.state() is GateState.OPEN, self._clock.now()
            self._is_up = None  # one that has stopped counts as open while its disk does not answer
            self._gate.close()
            took = (self._clock.now() - begun).total_seconds() if was_open else self._now.flush_seconds
            # what it wrote meanwhile is sent with the rest
            self._memory.keep(replace(self._now, reopened=False, flush_seconds=took), at_any_rate=at_any_rate)

    def settle(self) -> None:
        """What was paused at any rate is so on the disk; `OSError` while it takes nothing."""
        with self._lock:
            self._memory.settle()

    @property
    def reopened(self) -> bool:
        """The workload ran again since a move has closed the gate: what it wrote nobody has read."""
        return self._now.paused and self._now.reopened

    def stays_closed(self) -> bool:
        """What a move has paused is closed again where something else has started it, which one look that could not be
        told does not show; False until it is paused anew.
        """
        with self._lock:
            if not self._now.paused:
                return True
            if all(self._gate.state() is GateState.OPEN for _ in range(2)):
                self._serving.forbid()
                self._memory.keep(replace(self._now, reopened=True))
                self._gate.close()
            return not self.reopened

    def resume(self) -> None:
        with self._lock:
            if self._now.paused:
                self._memory.keep(replace(self._now, paused=False))
            self._allow()
            self.ensure_open()

    def release(self, epoch: int, heir: Heir | None = None) -> bool:
        with self._lock:
            self._serving.forbid()
            if not self.stays_closed():
                return False
            if not self._now.paused and self._gate.state() is GateState.OPEN:
                self._gate.close()
            self._memory.keep(self._now.let_go(epoch, heir, self._clock.now()))
            return True

    def learn(self, epoch: int) -> None:
        """The server has told of this epoch, whoever holds it."""
        with self._lock:
            self._memory.see(epoch)
            self._memory.keep(self._now.told_of(epoch))

    def keep_ticket(self, slip: InHand) -> None:
        """If it is for the epoch after the one held here, and was not destroyed before it came."""
        with self._lock:
            now, ticket = self._now, slip.ticket
            fits = now.held == ticket.epoch - 1 and ticket.from_instance == now.instance_id
            if fits and ticket.id not in now.destroyed:
                self._memory.keep(replace(now, ticket=slip))

    def destroy_ticket(self, ticket_id: str) -> None:
        """Durable when this returns; one by which it was handed over already is no ticket any more."""
        with self._lock:
            handed = self._now.handed
            if ticket_id != self._now.doubted and (handed is None or handed.ticket.id != ticket_id):
                self._memory.keep(self._now.without(ticket_id))

    def may_hand_over(self, epoch: int, heir: Heir) -> bool:
        slip = self._now.ticket
        return slip is not None and names(slip, epoch, heir)

    def delivered(self) -> None:
        """The heir has it."""
        with self._lock:
            if self._now.handed is not None:
                self._memory.keep(replace(self._now, handed=replace(self._now.handed, delivered=True)))

    def take(self, handed: HandedOver) -> bool:
        """Its epoch is this instance's from here on; False when that, or this ticket, is over here."""
        with self._lock:
            now, epoch = self._now, handed.ticket.epoch
            is_past = epoch <= max(now.released, now.known) or handed.ticket.id in now.destroyed
            if now.held is not None or is_past:
                return False
            self._memory.see(epoch)
            self._memory.keep(replace(self._now, held=epoch, paused=False, handed=handed))
            self._confirmed = epoch
            self._allow()
            return True

    def _note_opened(self, epoch: int) -> None:
        now, handed = replace(self._now, follows=None), self._now.handed
        if handed is not None and handed.opened_at is None and handed.ticket.epoch == epoch:
            now = replace(now, handed=replace(handed, opened_at=self._clock.now()))
        self._memory.remember(now)

    def _allow(self) -> None:
        """What the disk remembers of an epoch is not enough: after a restart the server says it first."""
        if self.confirmed is not None:
            self._serving.allow()
