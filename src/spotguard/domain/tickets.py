"""Handover tickets: a holder that is alone in its last two minutes may name its successor (ruling B4a).

A ticket is for one epoch, from one instance to one standby and its boot. Two keyed digests make it sound, and no key is
stored for them: the server seals a ticket with what it keeps of the standby's token, so that no holder can write one
itself; the holder signs its word of having let go with its own token, so that no standby can say it in its place.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from spotguard.domain.clock import rfc3339
from spotguard.domain.life import Life

NOTE = "handover-ticket"
"""The name under which a holder delivers it to the standby, beside the passes of the state."""

_SEAL_KEY, _WORD_KEY = b"spotguard handover ticket", b"spotguard handover release"


class TicketStatus(StrEnum):
    """The life of a ticket. While it is out nobody but its standby is granted its epoch."""

    OUT = "out"  # from the moment of the first reply that may have carried it
    USED = "used"  # its standby holds the epoch
    DESTROYED = "destroyed"  # the holder or the standby has said so, durably, before it said so
    OVER = "over"  # the epoch went to another one: the standby was proven dead


_ENDS = frozenset({TicketStatus.USED, TicketStatus.DESTROYED, TicketStatus.OVER})

TICKET_LIFE = Life(
    "ticket",
    {
        TicketStatus.OUT: _ENDS,
        TicketStatus.USED: frozenset(),
        TicketStatus.DESTROYED: frozenset(),
        TicketStatus.OVER: frozenset(),
    },
)


@dataclass(frozen=True)
class Ticket:
    """`epoch` is the one that it gives; the holder's own is the one before."""

    id: str
    agent_id: str
    epoch: int
    from_instance: str
    to_instance: str
    to_boot: str

    @property
    def text(self) -> str:
        said = (self.id, self.agent_id, str(self.epoch), self.from_instance, self.to_instance, self.to_boot)
        return "\n".join(said)


@dataclass(frozen=True)
class Word:
    """How the holder let go, by its own clock. `position`: of the last pass, made with the gate closed."""

    begun_at: datetime
    gate_closed_at: datetime
    delta_sent_at: datetime
    released_at: datetime
    position: int

    @property
    def text(self) -> str:
        times = (self.begun_at, self.gate_closed_at, self.delta_sent_at, self.released_at)
        return "\n".join([*map(rfc3339, times), str(self.position)])


def hash_token(token: str) -> str:
    """SHA-256 hex, 64 characters: what the server keeps of a token (ruling S4)."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def seal_of(ticket: Ticket, standby_token_hash: str) -> str:
    """HMAC-SHA256 hex: who knows the standby's token or what the server keeps of it can make or check it."""
    return _digest(_SEAL_KEY, standby_token_hash, ticket.text)


def signature_of(ticket: Ticket, word: Word, holder_token_hash: str) -> str:
    """The same under the holder's token, over the ticket and its word together."""
    return _digest(_WORD_KEY, holder_token_hash, f"{ticket.text}\n{word.text}")


def is_same(told: str, expected: str) -> bool:
    """In constant time; anything but ASCII is never the same."""
    return told.isascii() and hmac.compare_digest(told, expected)


def _digest(purpose: bytes, token_hash: str, text: str) -> str:
    key = hmac.digest(bytes.fromhex(token_hash), purpose, "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
