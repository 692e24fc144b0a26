"""One policy in one window of one world, from event to event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from spotguard.backtest.account import Account, Outcome, seconds_by_day
from spotguard.backtest.alarm import Alarm
from spotguard.backtest.physics import Physics
from spotguard.backtest.policy import (
    ONDEMAND,
    Floats,
    Intention,
    Look,
    Memory,
    Move,
    Policy,
    Sight,
    Stay,
    View,
    Wake,
)
from spotguard.backtest.world import World

LEAST_STEP = 1.0  # seconds: a policy that wants to be asked again at once


@dataclass(frozen=True)
class Instance:
    """Billed since `since`; could serve from `ready_at` on."""

    pool: int
    since: float
    ready_at: float


def run(
    world: World,
    policy: Policy,
    physics: Physics,
    start: float,
    end: float,
    minute_usd: float,
    alarm: Alarm | None = None,
) -> Outcome:
    """The workload starts on demand at `start`."""
    return Run(world, policy, physics, start, end, minute_usd, alarm or Alarm(world)).outcome()


class Run:
    """The state of a run; `step` takes the earliest event."""

    def __init__(
        self,
        world: World,
        policy: Policy,
        physics: Physics,
        start: float,
        end: float,
        minute_usd: float,
        alarm: Alarm,
    ) -> None:
        self.world, self.policy, self.physics, self._alarm = world, policy, physics, alarm
        self.start, self.end, self.minute_usd = start, end, minute_usd
        self.account = Account(world, physics, start, end)
        self.memory = Memory()
        self.now = start
        self.primary = Instance(ONDEMAND, start, start)
        self.serving_since = start
        self.standby: Instance | None = None
        self.successor: Instance | None = None
        self.forced = True  # its start counts as one, so that the first move is a return
        self.signalled_at = -inf
        self.wake_at = start
        self.moves = self.returns = self.refusals = self.probes = 0

    def outcome(self) -> Outcome:
        while self.now < self.end:
            self._step()
        self._close()
        cost, down = self.account.totals()
        return Outcome(
            first_day=self.account.first_day,
            day_seconds=seconds_by_day(self.start, self.end),
            cost_usd=cost,
            down_seconds=down,
            ondemand_usd=self.account.ondemand_usd(),
            seconds=self.end - self.start,
            moves=self.moves,
            returns=self.returns,
            interruptions=len(self.memory.interruptions),
            refusals=self.refusals,
            probes=self.probes,
            probe_usd=self.account.probe_usd,
            standby_seconds=self.account.standby_seconds,
            standby_usd=self.account.standby_usd,
            waived_usd=self.account.waived_usd,
            worst_down_seconds=self.account.worst_down_seconds,
        )

    def _step(self) -> None:
        """What takes something away comes before what is ready at the same moment."""
        strike = self.world.next_strike(self.primary.pool, self.primary.since)
        events: list[tuple[float, Callable[[], None]]] = [
            (max(strike - self.physics.notice, self.now), lambda: self._interrupted(strike)),
            (self._fall(self.standby), self._standby_falls),
            (self._fall(self.successor), self._successor_falls),
            (self.successor.ready_at if self.successor else inf, self._cut_over),
            (self._next_signal(), self._signalled),
            (self.wake_at if self.successor is None else inf, self._ask),
        ]
        at, happen = min(events, key=lambda event: event[0])
        if at >= self.end:
            self.now = self.end
            return
        self.now = at
        happen()

    def _fall(self, instance: Instance | None) -> float:
        return inf if instance is None else self.world.next_strike(instance.pool, instance.since)

    def _next_signal(self) -> float:
        if not self.physics.rebalance or self.primary.pool == ONDEMAND:
            return inf
        return self.world.lives[self.primary.pool].next_signal(self.now)

    # --- asking ---------------------------------------------------------------------------------------------------

    def view(self, now: float) -> View:
        world = self.world

        def prices_before(seconds: float) -> Floats:
            if seconds < 0:
                raise ValueError("nobody is told the future")
            return world.prices(now - seconds)

        return View(
            now=now,
            started=self.start,
            pools=world.pools,
            home=world.home,
            usd=world.prices(now),
            ondemand_usd=world.ondemand_usd,
            buckets=world.buckets(now),
            at=self.primary.pool,
            since=self.serving_since,
            forced=self.forced and self.primary.since > self.start,
            standby=None if self.standby is None else self.standby.pool,
            standby_ready_at=inf if self.standby is None else self.standby.ready_at,
            signalled_at=self.signalled_at,
            minute_usd=self.minute_usd,
            memory=self.memory,
            prices_before=prices_before,
            up_since=np.array([life.up_since(now) for life in world.lives])
            if self.policy.sees_states
            else None,
        )

    def _ask(self) -> None:
        self._do(self.policy.decide(self.view(self.now)))

    def _do(self, wanted: Intention) -> None:
        soon = self._probe(wanted.probes)
        soon |= self._keep_standby(wanted.standby)
        if wanted.go is not None and wanted.go != self.primary.pool:
            soon |= self._begin_move(wanted.go)
        self._sleep(wanted.wake)
        if soon:
            self.wake_at = min(self.wake_at, self.now + self.physics.refusal)

    def _sleep(self, wake: Wake) -> None:
        self.wake_at = max(self._alarm.next(wake, self.now, self.primary.pool), self.now + LEAST_STEP)

    def _signalled(self) -> None:
        self.signalled_at = self.now
        self._ask()

    def saw(self, pool: int, at: float, how: Sight, *, up: bool) -> None:
        if pool != ONDEMAND:
            self.memory.looks.setdefault(pool, []).append(Look(at, up, how))

    # --- probes, standbys, moves ----------------------------------------------------------------------------------

    def _probe(self, pools: tuple[int, ...]) -> bool:
        """At most one for each pool in five minutes; those beyond are not made."""
        made = False
        for pool in dict.fromkeys(pools):
            last = self.memory.last(pool)
            if last is not None and self.now - last.at < self.physics.probe_pause:
                continue
            up = self.world.can_launch(pool, self.now)
            self.saw(pool, self.now, Sight.PROBE, up=up)
            self.probes += 1
            made = True
            if up:
                self.account.probe_usd += self.account.bill(pool, self.now, self.now)
        return made

    def launch(self, pool: int) -> Instance | None:
        """None: refused, or refused so short a time ago that it is not tried."""
        last = self.memory.last(pool) if pool != ONDEMAND else None
        if last is not None and not last.up and self.now - last.at < self.physics.probe_pause:
            return None
        up = self.world.can_launch(pool, self.now)
        self.saw(pool, self.now, Sight.LAUNCH, up=up)
        if not up:
            self.refusals += 1
            return None
        return Instance(pool, self.now, self.now + self.physics.serving)

    def _keep_standby(self, wanted: int | None) -> bool:
        """Whether a launch was refused: the policy hears of it soon."""
        if wanted == (None if self.standby is None else self.standby.pool):
            return False
        if wanted is None:
            self.drop_standby(self.now)
            return False
        launched = self.launch(wanted)
        if launched is None:
            return True
        self.drop_standby(self.now)
        self.standby = launched
        return False

    def drop_standby(self, until: float, *, interrupted: bool = False) -> None:
        if self.standby is not None:
            self.account.stood_by(self.standby.pool, self.standby.since, until, self.standby.ready_at)
            self.account.bill(self.standby.pool, self.standby.since, until, interrupted=interrupted)
        self.standby = None

    def take_standby(self, at: float) -> Instance:
        """It becomes the primary: its bill goes on."""
        if self.standby is None:
            raise ValueError("there is no standby")
        taken, self.standby = self.standby, None
        self.account.stood_by(taken.pool, taken.since, at, taken.ready_at)
        return taken

    def _begin_move(self, to: int) -> bool:
        if self.standby is not None and self.standby.pool == to and self.standby.ready_at <= self.now:
            self.successor = self.take_standby(self.now)
        else:
            self.successor = self.launch(to)
        return self.successor is None

    def _cut_over(self) -> None:
        new = self.successor
        if new is None:
            return
        begun = max(new.since, self.serving_since)
        forced = self.primary.pool == ONDEMAND and self.forced
        self.memory.moves.append(Move(begun, self.primary.pool, new.pool, forced))
        self.moves += not forced
        self.returns += forced
        self._end_primary(self.now + self.physics.terminate_wait, self.now)
        self.account.down(self.now, self.now + self.physics.cut_over)
        self.serve_from(new, self.now + self.physics.cut_over, forced=new.pool == ONDEMAND)

    def _end_primary(self, until: float, left_at: float) -> None:
        old = self.primary
        strike = self.world.next_strike(old.pool, left_at)
        self.account.bill(old.pool, old.since, min(until, strike), interrupted=strike < until)
        self.ended(left_at)

    def ended(self, at: float) -> None:
        if self.primary.pool != ONDEMAND:
            self.memory.stays[-1] = Stay(self.primary.pool, self.memory.stays[-1].since, at)

    def serve_from(self, new: Instance, at: float, *, forced: bool) -> None:
        self.primary, self.successor = new, None
        self.serving_since, self.forced, self.signalled_at = at, forced, -inf
        if new.pool != ONDEMAND:
            self.memory.stays.append(Stay(new.pool, new.since))
        self.now = self.wake_at = at

    # --- falls ----------------------------------------------------------------------------------------------------

    def _interrupted(self, strike: float) -> None:
        """The pool falls at `strike`, or fell while it took over; worked out until the workload serves again."""
        dies_at = max(strike, self.now)
        lost = self.primary
        self.memory.interruptions.append((dies_at, lost.pool))
        self.saw(lost.pool, self.now, Sight.INTERRUPTION, up=False)
        new, serves_at = self._replacement(dies_at, lost.pool)
        self.account.bill(lost.pool, lost.since, dies_at, interrupted=True)
        self.ended(dies_at)
        self.account.down(dies_at, serves_at)
        self.serve_from(new, serves_at, forced=new.pool == ONDEMAND)

    def _replacement(self, dies_at: float, lost: int) -> tuple[Instance, float]:
        """Who serves next, and from when on."""
        ready = self._ready_standby(dies_at, lost)
        if ready is not None:
            self._give_up_successor(dies_at)
            return ready, dies_at + self.physics.cut_over
        coming = self._successor_nearby(dies_at, lost)
        if coming is not None:
            return coming, max(coming.ready_at, dies_at) + self.physics.cut_over
        self._give_up_successor(dies_at)
        return self._launched_anew(dies_at, {lost})

    def _ready_standby(self, dies_at: float, lost: int) -> Instance | None:
        """One in the pool that falls, or in one that falls before it could take over, is no help."""
        standby = self.standby
        if standby is None or standby.pool == lost or standby.ready_at > dies_at:
            return None
        if self._fall(standby) <= dies_at + self.physics.cut_over:
            return None
        return self.take_standby(dies_at)

    def _successor_nearby(self, dies_at: float, lost: int) -> Instance | None:
        """A move under way is carried through where the volume can follow: in the same zone."""
        coming = self.successor
        if coming is None or not self._same_zone(lost, coming.pool):
            return None
        takes_over = max(coming.ready_at, dies_at) + self.physics.cut_over
        return coming if self._fall(coming) > takes_over else None

    def _give_up_successor(self, until: float) -> None:
        if self.successor is not None:
            self.account.bill(self.successor.pool, self.successor.since, max(until, self.successor.since))
        self.successor = None

    def _launched_anew(self, dies_at: float, lost: set[int]) -> tuple[Instance, float]:
        """Launches from the notice on until one serves; one that falls while it boots is one more loss."""
        at = self.now
        first_lost = self.primary.pool
        while True:
            pool, launched_at = self._try(at, lost)
            far = not self._same_zone(first_lost, pool)
            takes = self.physics.serving + self.physics.cut_over + (self.physics.snapshot if far else 0.0)
            serves_at = max(launched_at + takes, dies_at)
            new = Instance(pool, launched_at, serves_at)
            falls_at = self._fall(new)
            if falls_at > serves_at:
                return new, serves_at
            self.account.bill(pool, launched_at, falls_at, interrupted=True)
            at = max(falls_at - self.physics.notice, launched_at)
            self.saw(pool, at, Sight.INTERRUPTION, up=False)
            lost.add(pool)

    def _try(self, at: float, lost: set[int]) -> tuple[int, float]:
        """The first pool of the policy's order that accepts, else on demand; each refusal takes its time."""
        for pool in self.policy.fall_back(self.view(at)):
            if pool == ONDEMAND:
                break
            if pool in lost:
                continue
            up = self.world.can_launch(pool, at)
            self.saw(pool, at, Sight.LAUNCH, up=up)
            if up:
                return pool, at
            self.refusals += 1
            at += self.physics.refusal
        return ONDEMAND, at

    def _same_zone(self, lost: int, pool: int) -> bool:
        return pool == ONDEMAND or self.world.zone(lost) == self.world.zone(pool)

    def _standby_falls(self) -> None:
        if self.standby is not None:
            self.saw(self.standby.pool, self.now, Sight.INTERRUPTION, up=False)
        self.drop_standby(self.now, interrupted=True)
        if self.successor is None:
            self.wake_at = self.now

    def _successor_falls(self) -> None:
        """It falls before it could serve: the move is given up, the old instance serves on."""
        new = self.successor
        if new is not None:
            self.saw(new.pool, self.now, Sight.INTERRUPTION, up=False)
            self.account.bill(new.pool, new.since, self.now, interrupted=True)
        self.successor = None
        self.wake_at = self.now

    def _close(self) -> None:
        self.drop_standby(self.end)
        if self.successor is not None:
            self.account.bill(self.successor.pool, self.successor.since, self.end)
        if self.primary.since < self.end:
            self.account.bill(self.primary.pool, self.primary.since, self.end)
