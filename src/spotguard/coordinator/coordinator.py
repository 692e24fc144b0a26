"""One pass: every standing duty once, in order. It takes no hints and survives a crash at any line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from spotguard.coordinator.agenda import Agenda, Work, look
from spotguard.coordinator.context import (
    Clouds,
    Context,
    CoordinatorSettings,
    Failed,
    Traffics,
    logged,
    next_multiple,
)
from spotguard.coordinator.decide import Decide
from spotguard.coordinator.drills import Drills
from spotguard.coordinator.emergencies import Emergencies
from spotguard.coordinator.expiry import Expiry
from spotguard.coordinator.fence import Fence
from spotguard.coordinator.foundlings import Foundlings
from spotguard.coordinator.invariants import Invariants
from spotguard.coordinator.ledger import Ledger
from spotguard.coordinator.leftovers import Leftovers
from spotguard.coordinator.moves import Moves
from spotguard.coordinator.observe import Observe
from spotguard.coordinator.observe_storage import ObserveStorage
from spotguard.coordinator.presence import PresenceDuty
from spotguard.coordinator.prices import Prices
from spotguard.coordinator.probes import Probes
from spotguard.coordinator.quotas import Quotas
from spotguard.coordinator.restore_points import RestorePoints
from spotguard.coordinator.retire import Retire
from spotguard.coordinator.salvages import Salvages
from spotguard.coordinator.shapes import Shapes
from spotguard.coordinator.standbys import Standbys
from spotguard.coordinator.traffic import TrafficDuty
from spotguard.domain.ids import ClientId
from spotguard.planning.invariants import Breach
from spotguard.ports.clock import Clock
from spotguard.ports.wakeup import Wakeup
from spotguard.store.database import Database
from spotguard.store.launch_orders import Installation, introduce

__all__ = ["Coordinator", "CoordinatorSettings", "PassReport"]

_BUSY = (Work.SWITCH, Work.MOVE, Work.ENDED, Work.IDLE, Work.ADRIFT)
QUIET = timedelta(
    seconds=120
)  # how long duties that found nothing to do are left alone while nothing changes
_CAN_REST = (Work.SWITCH, Work.MOVE, Work.REPLICA, Work.STANDING, Work.RECOMMENDATION)
_LEAVE_NOTHING = {"prices", "ledger"}  # duties after whose work no other has more to do
_STIRRING = (Work.NOTICE, Work.ENDED, Work.NEED)  # nobody rests while these are under way


@dataclass(frozen=True)
class PassReport:
    """What a pass changed, by duty, and when it wants to look again: at the latest one pass later."""

    at: datetime
    counts: dict[str, int]
    next_due: datetime


class Coordinator:
    """Any number of them do the work of one: their effects are harmless by tokens and conditional updates."""

    def __init__(
        self,
        db: Database,
        clouds: Clouds,
        clock: Clock,
        settings: CoordinatorSettings,
        wakeup: Wakeup,
        traffics: Traffics = lambda _client: None,
        failed: Failed = logged,
    ) -> None:
        self.ctx = ctx = Context(db, clouds, clock, settings, wakeup, traffics, failed)
        self._introduced = False
        self._calm: tuple[dict[Work, list[str]], datetime] | None = None
        self._fleet: dict[ClientId, int] = {}  # agents by client
        self.observe = Observe(ctx)
        self.observe_storage = ObserveStorage(ctx)
        self.shapes = Shapes(ctx)
        self.presence = PresenceDuty(ctx)
        self.fence = Fence(ctx)
        self.expiry = Expiry(ctx)
        self.emergencies = Emergencies(ctx)
        self.standbys = Standbys(ctx)
        self.moves = Moves(ctx)
        self.traffic = TrafficDuty(ctx)
        self.retire = Retire(ctx)
        self.drills = Drills(ctx)
        self.probes = Probes(ctx)
        self.salvages = Salvages(ctx)
        self.leftovers = Leftovers(ctx)
        self.foundlings = Foundlings(ctx)
        self.restore_points = RestorePoints(ctx)
        self.prices = Prices(ctx)
        self.quotas = Quotas(ctx)
        self.decide = Decide(ctx)
        self.ledger = Ledger(ctx)
        self.invariants = Invariants(ctx)

    def run_pass(self) -> PassReport:
        """Look, plan, do, report. A duty that fails as a whole is logged; the others go on."""
        now = self.ctx.clock.now()
        self.ctx.again_at.clear()
        self._introduce(now)
        agenda = self._look(now)
        clients = list(agenda.fleet)
        grown = agenda.fleet != self._fleet
        self._fleet = agenda.fleet
        counts: dict[str, int] = {}

        def duty(name: str, work: Callable[[], int]) -> None:
            try:
                done = work()
            except Exception as error:  # noqa: BLE001 - one failing duty never stops the others
                self.ctx.failed(name, None, error)
                return
            if done:
                counts[name] = done

        seen = agenda.machines
        duty("observe", lambda: self.observe.run(now, clients, seen))
        if "observe" in counts:
            agenda = self._look(now)
        if "observe" in counts or agenda.of(*_STIRRING):
            self.ctx.resting.clear()
        if not counts and not grown and self._is_quiet(now, agenda):
            return PassReport(now, counts, self._next_due(now))
        busy = bool(agenda.of(*_BUSY)) or "observe" in counts
        duty("storage", lambda: self.observe_storage.run(now, clients, agenda, busy=busy))
        duty("shapes", lambda: self.shapes.run(now, agenda.machines))
        duty("presence", lambda: self.presence.run(now, agenda))
        if agenda.work:
            self._work(now, agenda, duty)
            duty("fence", lambda: self.fence.run(now, agenda, self.presence.frozen))
        duty("traffic", lambda: self.traffic.run(now))
        duty("foundlings", lambda: self.foundlings.run(now, clients))
        duty("leftovers", lambda: self.leftovers.run(now, agenda))
        duty("restore points", lambda: self.restore_points.run(now))
        duty("salvages", lambda: self.salvages.run(now, agenda))
        duty("drills due", lambda: self.drills.order_due(now))
        duty("prices", lambda: self.prices.run(now, clients, force=grown))
        duty("quotas", lambda: self.quotas.run(now, clients, force=grown))
        duty("probes due", lambda: self.probes.order_due(now, self.presence.frozen, self.decide.judge))
        duty("decide", lambda: self.decide.run(now, self.presence.frozen))
        if self.ledger.is_due(now):
            duty("ledger", lambda: self.ledger.settle(now))
        duty("invariants", lambda: self.invariants.run(now))
        stirred = counts.keys() - _LEAVE_NOTHING or self.ctx.again_at
        self._calm = None if stirred else (agenda.work, next_multiple(now, QUIET))
        return PassReport(now, counts, self._next_due(now))

    def settle(self, now: datetime) -> None:
        """Bring prices, instances and the ledger up to `now`."""
        agenda = self._look(now)
        clients = list(agenda.fleet)
        self.observe.run(now, clients, agenda.machines)
        self.observe_storage.look(now, clients)
        self.prices.run(now, clients, force=True)
        self.ledger.settle(now)

    def clean_up(self, now: datetime) -> int:
        """Look at EC2, and end and delete what is due. How much was done; the events tell what, and why."""
        agenda = self._look(now)
        clients = list(agenda.fleet)
        self.observe.run(now, clients, agenda.machines)
        self.observe_storage.look(now, clients)
        self.foundlings.look(now, clients)
        return self.leftovers.sweep(now) + self.restore_points.look(now)

    def check_invariants(self, now: datetime) -> list[Breach]:
        """Everything that was ever found broken."""
        self.invariants.check(now)
        return list(self.invariants.broken)

    def _work(self, now: datetime, agenda: Agenda, duty: Callable[[str, Callable[[], int]], None]) -> None:
        duty("expiry", lambda: self.expiry.run(now, agenda))
        duty("emergencies", lambda: self.emergencies.run(now, agenda))
        duty("standbys", lambda: self.standbys.run(now, agenda))
        duty("moves", lambda: self.moves.run(now, agenda))
        duty("retire", lambda: self.retire.run(now, agenda))
        duty("drills", lambda: self.drills.run(now, agenda))
        duty("probes", lambda: self.probes.run(now, agenda, self.presence.frozen))

    @property
    def calm_until(self) -> datetime | None:
        """Until then most duties rest while nothing changes; None: the last pass that ran them found something."""
        return None if self._calm is None else self._calm[1]

    @property
    def calm(self) -> tuple[dict[Work, list[str]], datetime] | None:
        """What stays open, and until when most duties rest while it does; None: the last pass found something to do."""
        return self._calm

    def _is_quiet(self, now: datetime, agenda: Agenda) -> bool:
        """The last pass found nothing to do, EC2 and the agenda are as they were, and all that is open rests."""
        if self._calm is None or now >= self._calm[1] or agenda.work != self._calm[0]:
            return False
        return self.rests(agenda.work, now)

    def rests(self, work: dict[Work, list[str]], now: datetime) -> bool:
        """All of it waits for EC2, an agent or a time."""
        return not any(kind not in _CAN_REST or self.ctx.awake(rows, now) for kind, rows in work.items())

    def _introduce(self, now: datetime) -> None:
        if not self._introduced:
            who = Installation(self.ctx.settings.installation, self.ctx.settings.public_url)
            self.ctx.db.write(lambda tx: introduce(tx, now, who))
            self._introduced = True

    def _look(self, now: datetime) -> Agenda:
        return self.ctx.db.read(lambda tx: look(tx, now))

    def _next_due(self, now: datetime) -> datetime:
        latest = now + timedelta(seconds=self.ctx.settings.pass_seconds)
        return min([latest, *self.ctx.again_at])
