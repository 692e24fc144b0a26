"""What is under way for an agent or would be done next, and why: one sentence each, true at the moment of asking.

It reads from top to bottom: the first rule that applies tells both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from spotguard.domain.agents import Autonomy, KillLevel, Protection
from spotguard.domain.decisions import Verdict
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import SwitchStatus
from spotguard.planning.approvals import stands_until
from spotguard.planning.presence import Heard


@dataclass(frozen=True)
class OpenMove:
    """A move that is not over."""

    to: str
    kind: str
    status: SwitchStatus
    because: str


@dataclass(frozen=True)
class LiveStandby:
    """A replica that lives. `progress`: percent."""

    pool: str
    status: ReplicaStatus
    progress: str
    because: str | None


@dataclass(frozen=True)
class LastDecision:
    """The engine's newest, if it was made for the present epoch and settings: any other is history."""

    verdict: Verdict
    target: str | None
    because: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """Where an agent stands. `place`: "in t3.medium.ap-south-1a (spot)"; None before it serves anywhere."""

    now: datetime
    deleted: bool
    enabled: bool
    place: str | None
    heard: Heard
    protection: Protection
    autonomy: Autonomy
    kill: KillLevel
    move: OpenMove | None
    standby: LiveStandby | None
    signal_because: str | None  # of the serving instance
    decision: LastDecision | None
    unserved: str | None = (
        None  # why nobody serves, as people were told; None: somebody does, or a move brings it back
    )


@dataclass(frozen=True)
class Outlook:
    """For people."""

    next_action: str
    why: str


Rule = Callable[[Standing], Outlook | None]


def _stay(s: Standing, why: str, but: str = "") -> Outlook:
    return Outlook(f"stay {s.place}{but}", why)


def the_deleted_are_left_alone(s: Standing) -> Outlook | None:
    return Outlook("none: deleted", "it was deleted; its history is kept") if s.deleted else None


def nobody_serves(s: Standing) -> Outlook | None:
    if s.unserved is None:
        return None
    return Outlook("nobody serves it: see what it waits for", s.unserved)


def an_open_move_goes_on(s: Standing) -> Outlook | None:
    if s.move is None:
        return None
    if s.move.status is SwitchStatus.PREPARING:
        return Outlook(f"move to {s.move.to} ({s.move.kind}), {s.move.status}", s.move.because)
    return Outlook(
        f"finish the move to {s.move.to}: see that it serves, then end the old instance", s.move.because
    )


def who_has_never_served_is_waited_for(s: Standing) -> Outlook | None:
    return Outlook("wait for its first instance", "no instance of it serves yet") if s.place is None else None


def the_disabled_are_only_watched(s: Standing) -> Outlook | None:
    if s.enabled:
        return None
    return Outlook(
        f"none: disabled by its user, {s.place}", "hands off: signals are recorded and told, nothing is done"
    )


def the_kill_switch_stops_everything(s: Standing) -> Outlook | None:
    if s.kill is not KillLevel.ALL:
        return None
    return Outlook(
        f"none: everything is stopped, {s.place}", "the kill switch stands at all, emergencies included"
    )


def a_standby_on_its_way_is_brought_up(s: Standing) -> Outlook | None:
    if s.standby is None or s.standby.status is ReplicaStatus.READY:
        return None
    standby = f"standby in {s.standby.pool}: {s.standby.status}, {s.standby.progress} % there"
    return Outlook(f"{standby}; the workload stays {s.place}", s.standby.because or "a standby is wanted")


def silence_is_looked_into(s: Standing) -> Outlook | None:
    if s.heard is not Heard.SILENT:
        return None
    return Outlook(
        f"look: it was last {s.place}",
        "its instance is silent: nothing is done on silence alone, only on what EC2 shows of it",
    )


def a_server_that_was_away_listens_first(s: Standing) -> Outlook | None:
    if s.heard is not Heard.UNKNOWN:
        return None
    return Outlook(
        f"listen: it was last {s.place}",
        "the server was away itself: who is not heard within two minutes of its return counts as silent",
    )


def a_signal_keeps_it_ready_to_leave(s: Standing) -> Outlook | None:
    if s.signal_because is None:
        return None
    if s.standby is None:  # what was answered then may be over: a replica retired, a pool refused
        return _stay(s, f"no standby is there now; when its signal came: {s.signal_because}")
    return _stay(s, s.signal_because, f", hand over to the standby in {s.standby.pool} on a notice")


def in_manual_mode_a_person_moves_it(s: Standing) -> Outlook | None:
    if s.protection is not Protection.MANUAL:
        return None
    if s.standby is None and s.kill is KillLevel.VOLUNTARY:
        return _stay(s, "the kill switch stands at voluntary: only an emergency moves it or makes a standby")
    if s.standby is None:
        return _stay(
            s, "manual mode keeps one: it waits for a price, a cap or the next pass", ", make a standby"
        )
    hand_over = f", hand over to the standby in {s.standby.pool} on a notice or a click"
    return _stay(s, "manual mode: the standby is ready, a person decides about moves", hand_over)


def without_a_mode_only_emergencies_move_it(s: Standing) -> Outlook | None:
    if s.protection is not Protection.NONE:
        return None
    return _stay(s, "neither mode is on: only an emergency or a person moves it")


def voluntary_moves_are_stopped(s: Standing) -> Outlook | None:
    if s.kill is KillLevel.NONE:
        return None
    return _stay(s, "the kill switch stands at voluntary: only an emergency moves it")


def the_engine_has_not_decided_here(s: Standing) -> Outlook | None:
    if s.decision is not None and s.decision.verdict is not Verdict.MOVE and not _expired(s, s.decision):
        return None
    return _stay(s, f"automatic mode ({s.autonomy}): the engine has not decided anew since it is here")


def _expired(s: Standing, decision: LastDecision) -> bool:
    until = stands_until(decision.verdict, decision.at)
    return until is not None and s.now >= until


def the_engines_decision_holds(s: Standing) -> Outlook | None:
    if s.decision is None:
        return None
    why = f"{s.decision.because} (decided {s.decision.at:%Y-%m-%d %H:%M} UTC)"
    if s.decision.target is None or s.decision.verdict is Verdict.REFUSED:
        return _stay(s, why)
    match s.decision.verdict:
        case Verdict.AWAIT_APPROVAL:
            return _stay(s, why, f", move to {s.decision.target} once a person approves")
        case Verdict.RECOMMEND:
            return _stay(s, why, f"; a move to {s.decision.target} is recommended")
        case _:
            return _stay(s, why, f"; would move to {s.decision.target}")


RULES: tuple[Rule, ...] = (
    the_deleted_are_left_alone,
    nobody_serves,
    an_open_move_goes_on,
    who_has_never_served_is_waited_for,
    the_disabled_are_only_watched,
    the_kill_switch_stops_everything,
    a_standby_on_its_way_is_brought_up,
    silence_is_looked_into,
    a_server_that_was_away_listens_first,
    a_signal_keeps_it_ready_to_leave,
    in_manual_mode_a_person_moves_it,
    without_a_mode_only_emergencies_move_it,
    voluntary_moves_are_stopped,
    the_engine_has_not_decided_here,
    the_engines_decision_holds,
)


def outlook(standing: Standing) -> Outlook:
    return next(told for rule in RULES if (told := rule(standing)) is not None)
