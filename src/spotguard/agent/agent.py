"""The agent: puts the duties together and brings them up after a start, a crash, a reboot or on a clone's disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from spotguard.agent.alone import Alone
from spotguard.agent.bells import Bells
from spotguard.agent.command_book import CommandBook
from spotguard.agent.commands import Commands
from spotguard.agent.desk import Desk, Duty, NotEnrolled, Ports
from spotguard.agent.enrolment import launch_note
from spotguard.agent.errands import Errands
from spotguard.agent.handover import Handover
from spotguard.agent.health import Health
from spotguard.agent.jobs import Jobs
from spotguard.agent.kept_volumes import KeptVolumes
from spotguard.agent.launches import DiskIntentions
from spotguard.agent.outbox import Outbox
from spotguard.agent.posting import Posting
from spotguard.agent.presence import Presence
from spotguard.agent.prices import Prices
from spotguard.agent.primacy import Primacy
from spotguard.agent.promotion import Promotion
from spotguard.agent.quiet import Quiet
from spotguard.agent.rehearsal import Rehearsal
from spotguard.agent.salvaging import Salvaging
from spotguard.agent.settings import AgentSettings
from spotguard.agent.signals import Signals
from spotguard.agent.sync import Sync
from spotguard.agent.tickets import Giving, Tickets
from spotguard.agent.traffic import TrafficDuty
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import GateFailed, InvalidInput, ServerAway
from spotguard.domain.instances import GateState
from spotguard.ports.checked_lines import Damaged
from spotguard.ports.metadata import Identity
from spotguard.ports.workload import STARTS, STATE_MOUNT
from spotguard.telemetry import get_logger

FILES = (
    "config",
    "prices",
    "leftovers",
    Outbox.NAME,
    Outbox.DEAD_LETTERS,
    Signals.NAME,
    CommandBook.NAME,
    Handover.NAME,
    DiskIntentions.NAME,
    Quiet.NAME,
    TrafficDuty.NAME,
    STATE_MOUNT,
    STARTS,
    Primacy.NAME,
    "enrolment",
)
"""Everything an agent writes: what a clone must not keep. It goes in this order, what tells whose it is last."""

WHAT_WAS_UNDER_WAY = tuple(name for name in FILES if name not in (Primacy.NAME, STATE_MOUNT, STARTS))
"""What one whose memory is damaged begins anew without. Where the state lies is still true of this instance, and late
starts go on in it."""

OF_ONE_BOOT = (Signals.NAME, CommandBook.NAME, Handover.NAME)
"""What a stopped and started instance must not carry on; what it owes the server in reports it still owes."""

_T = TypeVar("_T")

log = get_logger("agent")


class Agent:
    """One instance's agent. `start` first; then each duty runs when it wants to or is rung for.

    The duties: presence, prices, signals, commands, moves, sync, outbox, traffic, tickets, and health where there is
    an endpoint. `duties[name].run(now)` does what is due and
    says when it wants to run again, None meaning when `bells` ring its name. Each duty belongs to one thread at a
    time; different duties may run in different threads.
    """

    def __init__(self, ports: Ports, settings: AgentSettings) -> None:
        self._desk = Desk(ports, settings)
        self._book = CommandBook(self._desk)
        self._signals = Signals(self._desk)
        self.quiet = Quiet(ports.disk, ports.quiesce, ports.clock)
        alone = Alone(self._desk, self._signals)
        self._handover = Handover(self._desk, self._book, self._signals, self.quiet, alone)
        tickets = Tickets(self._desk, lambda: self._signals.is_doomed)
        self._presence = Presence(self._desk, tickets)
        posting = Posting(self._desk)
        posting.hearers = {Handover.KIND: self._handover.heard, Signals.KIND: self._signals.answered}
        promotion = Promotion(self._desk, self._book, self._presence.hurry)
        traffic = TrafficDuty(self._desk, self._book)
        errands = Errands(self._desk, self._book, traffic.withdraw, alone.can_wait)
        rehearsal = Rehearsal(self._desk, self._book)
        salvaging = Salvaging(self._desk, self._book)
        kept = KeptVolumes(self._desk, lambda: self._handover.is_open or self._signals.is_doomed)
        handlers = {
            CommandType.SWITCH: self._handover.check,
            CommandType.PROMOTE: promotion.check,
            CommandType.DRILL: rehearsal.check,
            CommandType.COMPARE_STATE: salvaging.check,
            **dict.fromkeys(Errands.TYPES, errands.check),
        }
        self.duties: dict[str, Duty] = {
            "presence": self._presence,
            "prices": Prices(self._desk),
            "signals": self._signals,
            "commands": Commands(self._desk, self._book, handlers),
            "moves": Jobs(
                (
                    self._handover,
                    Giving(tickets),
                    promotion,
                    rehearsal,
                    salvaging,
                    errands,
                    self.quiet,
                    kept,
                )
            ),
            "sync": Sync(self._desk, lambda: self._handover.is_open),
            "outbox": posting,
            "traffic": traffic,
            "tickets": tickets,
        }
        if settings.health_seconds is not None:
            self.duties["health"] = Health(self._desk, settings.health_seconds)
        self._starting = threading.Lock()

    @property
    def bells(self) -> Bells:
        return self._desk.bells

    @property
    def desk(self) -> Desk:
        return self._desk

    def start(self, now: datetime) -> None:
        """Know who we are, take up what was under way, enrol if need be.

        `MetadataUnavailable`: without an identity nothing may be believed; call again. A server that is away stops
        nothing: presence enrols later.
        """
        with self._starting:
            self.quiet.recover()  # before anything else: a frozen file system stands still
            identity = self._desk.ports.metadata.identity()
            note = launch_note(self._desk.ports.metadata.user_data())
            self._desk.identity, self._desk.note = identity, note
            self._take_up(identity)
            self._load()
            self._resume()
            if not self._desk.is_enrolled:
                self._enrol()
            for duty in self.duties:
                self.bells.ring(duty)

    def rest(self) -> None:
        """The process ends: what it has frozen nobody would thaw before the next one starts."""
        self.quiet.thaw()

    def _take_up(self, identity: Identity) -> None:
        """Believe the disk only as far as it is this identity's."""
        desk = self._desk
        stored, damage = _read(desk.stored_enrolment)
        if stored is not None and stored.instance_id != identity.instance_id:
            log.warning("clone", of=stored.instance_id, instance=identity.instance_id)
            desk.starts_passive = True
            self._close_gate()
            self._discard(FILES)
            desk.primacy.load(identity)
            return
        if stored is not None and stored.boot_id != identity.boot_id:
            desk.starts_passive = True
            self._close_gate()
            self._discard(OF_ONE_BOOT)
        is_this_boot = stored is not None and stored.boot_id == identity.boot_id
        is_ours, forgotten = _read(lambda: desk.primacy.load(identity))
        if stored is None and desk.primacy.was_anothers:
            desk.starts_passive = True  # the enrolment is damaged, or went before an agent was killed
            self._close_gate()
        if forgotten is not None:
            self._begin_anew(forgotten, WHAT_WAS_UNDER_WAY)
            desk.primacy.forget(identity, was_this_boot=is_this_boot)
        elif damage is not None:
            self._begin_anew(damage, ("enrolment",) if is_ours else WHAT_WAS_UNDER_WAY)
        elif is_this_boot:
            desk.enrolment = stored
        elif stored is None and not desk.primacy.was_anothers:
            self._meet_what_runs()

    def _meet_what_runs(self) -> None:
        """No agent has been here before."""
        desk = self._desk
        desk.found_running = desk.note is None and desk.primacy.gate_state() is GateState.OPEN
        if desk.note is not None:
            desk.starts_passive = True  # launched for somebody's workload
            self._close_gate()

    def _begin_anew(self, error: Damaged, discarded: Iterable[str]) -> None:
        """An agent has been here: what runs is not the user's own, and the server says whether it may.

        What it had to tell is gone before anything is remembered anew: it may be of what is not known any more.
        """
        log.error("damaged disk", because=str(error))
        self._discard(discarded)

    def _discard(self, names: Iterable[str]) -> None:
        """Whoever is killed in the midst of it finds the rest, and whose it was."""
        for name in names:
            self._desk.ports.disk.remove(name)

    def _close_gate(self) -> None:
        try:
            self._desk.primacy.ensure_closed()
        except GateFailed as error:
            log.error("gate", because=str(error))  # noqa: TRY400 - the cause is the message

    def _load(self) -> None:
        self._desk.load_config()
        damaged = self._desk.outbox.load()
        if damaged:
            log.warning("torn journal", lines=damaged)
        self._book.load()
        self._signals.load()
        self._handover.load()

    def _resume(self) -> None:
        """The same boot with an epoch that was never released: serve on, whether or not the server answers.

        Not where a move has closed the gate of which nothing is known any more: its image or its last pass may be under
        way, and would lack what is written now. Who lets go is followed by the new one, or given the next epoch.
        """
        primacy = self._desk.primacy
        try:
            if primacy.paused and self._handover.is_lost:
                primacy.give_up()
            if primacy.paused and not self._handover.is_open:
                primacy.resume()
            primacy.ensure_open()
        except GateFailed as error:
            log.error("gate", because=str(error))  # noqa: TRY400 - presence tries again

    def _enrol(self) -> None:
        try:
            self._presence.enrol()
        except (ServerAway, NotEnrolled, InvalidInput) as error:
            log.warning("not enrolled yet", because=str(error))


def _read(stored: Callable[[], _T]) -> tuple[_T | None, Damaged | None]:
    """What stands there, or how it is damaged."""
    try:
        return stored(), None
    except Damaged as error:
        return None, error
