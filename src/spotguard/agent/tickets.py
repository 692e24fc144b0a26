"""Handover tickets on an instance (ruling B4a): the holder keeps one and hands it over, the standby looks for it.

The holder gives it only after a release that is on its disk. The standby believes it only under the server's seal, for
itself and this boot, and with the very pass that the holder made last; then it writes down that it holds the epoch, and
opens. Both tell the server until it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from spotguard.agent.desk import Desk
from spotguard.agent.enrolment import role_of
from spotguard.agent.held import HandedOver, InHand
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import GateFailed, InvalidInput, Refused, SyncFailed
from spotguard.domain.instances import Role
from spotguard.domain.tickets import NOTE, Ticket, Word, hash_token, is_same, seal_of
from spotguard.telemetry import get_logger

LOOK_SECONDS = 1.0  # a standby for a ticket; the holder has two minutes
AGAIN_SECONDS = 1.0  # a delivery that failed

log = get_logger("agent")


class Slip(msgspec.Struct, frozen=True):
    """What travels from the holder to its standby."""

    ticket: Ticket
    seal: str
    word: Word
    signature: str


class Tickets:
    """Three turns: presence speaks and heeds, the moves duty gives, and `run` is the standby's own duty."""

    def __init__(self, desk: Desk, is_doomed: Callable[[], bool]) -> None:
        """`is_doomed`: AWS is about to take this instance."""
        self._desk, self._is_doomed = desk, is_doomed
        self._refused: bytes | None = None
        self._complaint = ""

    # presence's turn

    def said(self) -> dict[str, Any]:
        """What a heartbeat tells. Who forgot does not speak of tickets: a new one would be in doubt at once. Who could
        hand none over takes none, and has given up what it had: it would let go for one that never arrives.
        """
        primacy = self._desk.primacy
        if primacy.forgot:
            return {}
        takes_one = self._desk.ports.sync.delivers_notes()
        if not takes_one:
            self._give_up()
        slip, handed = primacy.ticket, primacy.handed
        if not (takes_one or handed is not None or primacy.destroyed):
            return {}
        return {
            "ticket": None if slip is None else slip.ticket.id,
            "destroyed": list(primacy.destroyed),
            "takes_tickets": takes_one,
            "handed_over": None if handed is None else _told(handed),
        }

    def _give_up(self) -> None:
        """Where the disk takes nothing, with a later heartbeat."""
        slip = self._desk.primacy.ticket
        try:
            if slip is not None:
                self._desk.primacy.destroy_ticket(slip.ticket.id)
        except OSError as error:
            self._complain("ticket not destroyed", str(error))

    def heed(self, answer: Mapping[str, Any]) -> bool:
        """What its answer says; a change here is told at once. True: the server has just learnt who took over here."""
        primacy = self._desk.primacy
        before, took = (primacy.ticket, primacy.destroyed), primacy.handed
        role, epoch = role_of(answer)
        if primacy.forgot and role is not None:
            primacy.recall(epoch if role is Role.PRIMARY else None, self._in_doubt(role, answer))
        if epoch is not None:
            primacy.learn(epoch)
        destroy = answer.get("destroy_ticket")
        if isinstance(destroy, str) and not self._holds_note_of(destroy):
            primacy.destroy_ticket(destroy)
        slip = answer.get("ticket")
        if isinstance(slip, Mapping):
            self._keep(slip)
        if (primacy.ticket, primacy.destroyed) != before:
            self._desk.bells.ring("presence")
        return took is not None and primacy.handed is None and primacy.held == took.ticket.epoch

    def _in_doubt(self, role: Role, answer: Mapping[str, Any]) -> str | None:
        """The ticket that was perhaps given here. Who stands by can have used only one that lies here: what lies
        nowhere is destroyed when it is asked for, or nobody else could ever follow a dead holder.
        """
        if role not in (Role.STANDBY, Role.SUCCESSOR):
            return _out_of(answer)
        content = self._desk.ports.sync.delivered(NOTE)
        try:
            return None if content is None else _read(content).ticket.id
        except InvalidInput:
            return None

    def _keep(self, slip: Mapping[str, Any]) -> None:
        try:
            ticket = msgspec.convert({k: v for k, v in slip.items() if k != "seal"}, Ticket)
            seal = msgspec.convert(slip.get("seal"), str)
        except msgspec.ValidationError as error:
            log.error("ticket unreadable", because=str(error))  # noqa: TRY400 - the cause is the message
            return
        token_hash = hash_token(self._desk.enrolled().agent_token)
        self._desk.primacy.keep_ticket(InHand(ticket, seal, token_hash))

    def _holds_note_of(self, ticket_id: str) -> bool:
        """It has been delivered and waits to be used: too late to destroy it. What cannot be used now, although its
        pass came before it, may never be: while it is out nobody else may follow.
        """
        note = self._delivered()
        waits = note is not None and note.ticket.id == ticket_id and self._can_use(note)
        if waits:
            self._desk.bells.ring("tickets")
        return waits

    # the holder's turn, a job of the moves duty

    def give(self, now: datetime) -> datetime | None:
        handed = self._desk.primacy.handed
        if handed is None or handed.delivered or handed.target is None:
            return None
        slip = Slip(handed.ticket, handed.seal, handed.word, handed.signature)
        try:
            self._desk.ports.sync.deliver(handed.target, NOTE, msgspec.json.encode(slip))
        except SyncFailed as error:
            self._complain("ticket not delivered", str(error))
            return now + timedelta(seconds=AGAIN_SECONDS)
        self._desk.primacy.delivered()
        log.warning("handed over", to=handed.target.instance_id, epoch=handed.ticket.epoch)
        self._desk.bells.ring("presence")
        return None

    # the standby's own duty

    def run(self, now: datetime) -> datetime | None:
        desk = self._desk
        if not desk.is_enrolled or desk.primacy.held is not None or desk.replica_id() is None:
            return None  # rung for with a new configuration
        note = self._delivered()
        if note is not None and self._can_use(note):
            self._use(note)
        return now + timedelta(seconds=LOOK_SECONDS)

    def _delivered(self) -> Slip | None:
        """A note that this instance may use; one that it may not is told once."""
        content = self._desk.ports.sync.delivered(NOTE)
        if content is None or content == self._refused:
            return None
        try:
            note = _read(content)
            if self._is_past(note):
                self._refused = content
                log.info("ticket of the past", instance=self._desk.instance_id, epoch=note.ticket.epoch)
                return None
            self._require_ours(note)
        except (InvalidInput, Refused) as error:
            self._refused = content
            self._complain("ticket refused", str(error))
            return None
        return note

    def _is_past(self, note: Slip) -> bool:
        """Its epoch has been granted meanwhile, as after each hand-over with a server that answers. Whoever it was for:
        an image of who took over brings it along.
        """
        return note.ticket.epoch <= max(self._desk.primacy.known, self._desk.primacy.released)

    def _require_ours(self, note: Slip) -> None:
        enrolment, me, ticket = self._desk.enrolled(), self._desk.me, note.ticket
        if (ticket.agent_id, ticket.to_instance) != (enrolment.agent_id, me.instance_id):
            raise Refused(f"it is for {ticket.to_instance}")
        if ticket.to_boot != me.boot_id:
            raise Refused("it is for another boot of this instance")
        if not is_same(note.seal, seal_of(ticket, hash_token(enrolment.agent_token))):
            raise Refused("it does not carry the server's seal for this instance")
        if ticket.id in self._desk.primacy.destroyed:
            raise Refused("this instance has destroyed it")

    def _can_use(self, note: Slip) -> bool:
        return not self._is_doomed() and self._has_its_pass(note)

    def _has_its_pass(self, note: Slip) -> bool:
        """Everything that the holder ever acknowledged has arrived here, as a whole pass."""
        try:
            position = self._desk.ports.sync.received().position
        except SyncFailed:  # told by the duty that measures it
            return False
        return position is not None and position >= note.word.position

    def _use(self, note: Slip) -> None:
        primacy = self._desk.primacy
        if not primacy.take(HandedOver(note.ticket, note.seal, note.word, note.signature, delivered=True)):
            return
        log.warning("taking over", instance=self._desk.instance_id, epoch=note.ticket.epoch)
        try:
            primacy.ensure_open()
        except GateFailed as error:  # presence tries again: the epoch is ours
            self._complain("gate", str(error))
        for duty in ("presence", "traffic"):
            self._desk.bells.ring(duty)

    def _complain(self, what: str, because: str) -> None:
        if because != self._complaint:
            self._complaint = because
            log.error(what, instance=self._desk.instance_id, because=because)


class Giving:
    """The holder's turn as a job of the moves duty: it comes after the release and before anything else."""

    def __init__(self, tickets: Tickets) -> None:
        self.run = tickets.give


def _out_of(answer: Mapping[str, Any]) -> str | None:
    """The ticket of the holder that is spoken to, kept or asked back."""
    slip, asked_back = answer.get("ticket"), answer.get("destroy_ticket")
    kept = slip.get("id") if isinstance(slip, Mapping) else None
    found = kept if isinstance(kept, str) else asked_back
    return found if isinstance(found, str) else None


def _read(content: bytes) -> Slip:
    try:
        return msgspec.json.decode(content, type=Slip)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"not a ticket: {error}") from error


def _told(handed: HandedOver) -> dict[str, Any]:
    word = handed.word
    return {
        "ticket_id": handed.ticket.id,
        "begun_at": rfc3339(word.begun_at),
        "gate_closed_at": rfc3339(word.gate_closed_at),
        "delta_sent_at": rfc3339(word.delta_sent_at),
        "released_at": rfc3339(word.released_at),
        "position": word.position,
        "signature": handed.signature,
        "opened_at": None if handed.opened_at is None else rfc3339(handed.opened_at),
    }
