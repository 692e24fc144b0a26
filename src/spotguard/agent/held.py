"""What stands on an instance's disk of its primacy: one value, replaced whole, so that no crash leaves half of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from spotguard.domain.tickets import Ticket, Word, signature_of
from spotguard.execution.old_half import Heir
from spotguard.ports.workload import SyncTarget

MOST_REMEMBERED = 16  # destroyed tickets; only those of the next epoch matter


@dataclass(frozen=True)
class InHand:
    """The holder's ticket. `token_hash`: of this instance's own token when it came, which signs the word."""

    ticket: Ticket
    seal: str
    token_hash: str


@dataclass(frozen=True)
class HandedOver:
    """A hand-over by a ticket, as both of its ends keep it until the server knows. `target`: the giver's way there."""

    ticket: Ticket
    seal: str
    word: Word
    signature: str
    target: SyncTarget | None = None
    delivered: bool = False
    opened_at: datetime | None = None


def names(slip: InHand, epoch: int, heir: Heir) -> bool:
    """It is the ticket from this epoch to this heir."""
    return (slip.ticket.to_instance, slip.ticket.epoch) == (heir.target.instance_id, epoch + 1)


@dataclass(frozen=True)
class Held:
    """Whose it is, and what it holds. `paused`: a move has closed the gate and has not released; `reopened`: and it was
    found open since, as no agent opens it.

    `known` is the newest epoch that the server has told of. `follows`: the one that came after another's, until the
    gate has opened for it here. `destroyed`: ids of tickets that are never used or given.
    `over`: the epoch that the server has told to be another's while it was held here; its gate may not have closed.
    `forgot`: what stood here before was damaged, no open gate told that nothing was released, and the server has not
    been asked since.
    `doubted`: the id of a ticket that may have been given, or used, then.
    """

    instance_id: str = ""
    boot_id: str = ""
    held: int | None = None
    released: int = 0
    paused: bool = False
    reopened: bool = False
    flush_seconds: float | None = None
    known: int = 0
    follows: int | None = None
    over: int = 0
    ticket: InHand | None = None
    handed: HandedOver | None = None
    destroyed: tuple[str, ...] = ()
    forgot: bool = False
    doubted: str | None = None

    @property
    def is_over(self) -> bool:
        """What is held was granted to another, or is older than one that was; it is still to be let go of."""
        return self.held is not None and (self.held <= self.over or self.held < self.known)

    def without(self, ticket_id: str) -> Held:
        """That ticket is destroyed for ever, whether or not it has come."""
        kept = None if self.ticket is None or self.ticket.ticket.id == ticket_id else self.ticket
        others = tuple(known for known in self.destroyed if known != ticket_id)
        return replace(self, ticket=kept, destroyed=(*others, ticket_id)[-MOST_REMEMBERED:])

    def without_ticket(self) -> Held:
        return self if self.ticket is None else self.without(self.ticket.ticket.id)

    def of_boot(self, boot_id: str) -> Held:
        """What is left of it in another boot of this instance: what it has let go of, and what it owes the server."""
        return replace(self.without_ticket(), boot_id=boot_id, held=None, paused=False, forgot=False)

    def let_go(self, epoch: int, heir: Heir | None, at: datetime) -> Held:
        """Of it and of all before it. A ticket is handed to who holds everything, destroyed otherwise."""
        kept = None if self.held is None or self.held <= epoch else self.held
        now, slip = replace(self, held=kept, released=max(epoch, self.released), paused=False), self.ticket
        if slip is None or heir is None or not names(slip, epoch, heir):
            return now.without_ticket()
        word = Word(heir.begun_at, heir.gate_closed_at, heir.delta_sent_at, at, heir.position)
        signature = signature_of(slip.ticket, word, slip.token_hash)
        return replace(
            now, ticket=None, handed=HandedOver(slip.ticket, slip.seal, word, signature, heir.target)
        )

    def seeing(self, epoch: int) -> Held:
        """Who stands by sees it come after another one: what runs here then runs on a state that is not its own."""
        comes_after = self.held is None and 0 < self.known < epoch
        return replace(self, follows=epoch) if comes_after else self

    def told_of(self, epoch: int) -> Held:
        """The server knows `epoch`: tickets for it and before are history."""
        if epoch <= self.known:
            return self
        handed = self.handed if self.handed is not None and self.handed.ticket.epoch > epoch else None
        return replace(self, known=epoch, handed=handed, destroyed=())
