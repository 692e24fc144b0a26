"""The old holder's half of a move: from the decision to the release, one journalled step after the other.

`advance` carries the move on as far as it goes without waiting and says when to look again. Each step looks before
it acts and may be done twice, so a crash at any line costs nothing but the step under way. Until the release
everything unwinds: volumes come back, the gate opens again under the unchanged epoch. With a notice (`close_by`)
the gate closes when the target is ready, or when the time is up, and the epoch is released even without a target: the
volumes keep the state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from spotguard.domain.errors import (
    CloudError,
    Doubtful,
    GateFailed,
    NotVisible,
    QuiesceFailed,
    StartFailed,
    SyncFailed,
    Throttled,
)
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind, Step
from spotguard.execution import imaging, volumes
from spotguard.execution.launching import Launched, LaunchWish, NotYet, launch, refused
from spotguard.execution.move_state import MoveEnd, MoveState, NewInstance, candidates_of, remaining
from spotguard.execution.shaping import made_otherwise, shape_of
from spotguard.execution.waiting import Wait
from spotguard.planning.deadlines import closed_at_most
from spotguard.ports.clock import SteadyClock
from spotguard.ports.cloud import Cloud
from spotguard.ports.intentions import Intentions
from spotguard.ports.workload import Quiesce, StateSync, SyncTarget

WAITED = timedelta(seconds=2)


@dataclass(frozen=True)
class Heir:
    """Who holds everything that was ever acknowledged here, and how it came to that. `position`: of the last pass."""

    target: SyncTarget
    begun_at: datetime
    gate_closed_at: datetime
    delta_sent_at: datetime
    position: int


class Holding(Protocol):
    """The epoch that this instance holds, and the gate that belongs to it. Every call may be repeated."""

    @property
    def flush_seconds(self) -> float:
        """How long the last `pause` took: the measured flush."""

    def pause(self, *, at_any_rate: bool) -> None:
        """Close the gate and keep it closed, durably, until `resume`. `GateFailed` when it does not close.

        What cannot be written raises its `OSError` and leaves the gate as it is. `at_any_rate`: it closes all the same.
        """

    def resume(self) -> None:
        """Open the gate again under the unchanged epoch."""

    def may_hand_over(self, epoch: int, heir: Heir) -> bool:
        """A ticket to this heir is in hand."""

    def release(self, epoch: int, heir: Heir | None) -> bool:
        """Let go of it durably, for ever; the gate is closed. A ticket to this heir is handed over, any other ends.
        False: the workload ran again since `pause`. It is closed, what it wrote nobody has read, and nothing is let go.
        """


@dataclass(frozen=True)
class Limits:
    """Seconds."""

    margin: float = 10.0  # before the deadline of a notice
    last_call: float = 3.0  # before the deadline: whatever is under way, release now
    server_first: float = 3.0  # after a notice, before a holder with a ticket begins by itself
    look_again: float = 5.0  # the longest wait between two looks at something under way


@dataclass(frozen=True)
class Advance:
    """Where the move stands now; `again_seconds` None: this half has ended."""

    state: MoveState
    again_seconds: float | None
    because: str


@dataclass(frozen=True)
class OldHalf:
    """What the steps need. `keep` writes the state down durably. `cloud` None: the server calls EC2."""

    holding: Holding
    sync: StateSync
    quiet: Quiesce  # thaws at the latest when it has been frozen for a minute
    cloud: Cloud | None
    intentions: Intentions
    clock: SteadyClock
    keep: Callable[[MoveState], None]
    server_answers: Callable[[], bool]  # now, and the move is still on there
    limits: Limits = Limits()
    # why the state is not where it was, as far as is known
    state_missing: Callable[[], str | None] = lambda: None

    def advance(self, state: MoveState) -> Advance:
        while state.ended is None:
            state = self._judge(state)
            outcome = self._unwind(state) if state.unwinding else self._go_on(state)
            if isinstance(outcome, Wait):
                return Advance(outcome.state or state, self._until(state, outcome.seconds), outcome.because)
            state = outcome
            self.keep(state)
        return Advance(state, None, state.unwinding or "released")

    def _go_on(self, state: MoveState) -> MoveState | Wait:
        step = next_step(state, self.clock.steady(), self.holding.flush_seconds, self.limits)
        if step is None:
            return Wait(self.limits.look_again, "waiting for the server to end the move")
        try:
            outcome = _WORK[step](self, state)
        except SyncFailed as error:
            return Wait(1.0 if state.gate_is_shut else self.limits.look_again, str(error))
        except (Throttled, Doubtful, NotVisible) as error:
            return Wait(self.limits.look_again, f"EC2 gave no clear answer ({error.code})")
        except (GateFailed, QuiesceFailed, CloudError, OSError) as error:
            # EC2 has refused, and repeats itself
            if state.close_by is not None or self._may_have_lost_volumes(
                state
            ):  # nothing is gained by going back
                return Wait(1.0, f"{step}: {error}")
            if isinstance(error, OSError):  # nothing can be written: nor that the move is given up
                raise
            return state.unwind(f"{step}: {error}")
        return outcome

    def _judge(self, state: MoveState) -> MoveState:
        """Give up a move that keeps the workload down without getting on.

        Not by itself where the server moves the volumes: it takes them when EC2 lets it, unheard here, and then grants
        without this holder's word. Its own word alone tells that they stay.
        """
        closed_at = state.done.get(Step.GATE_CLOSED)
        if self._may_have_lost_volumes(state):
            return state
        committed = Step.VOLUMES_MOVED in state.done or Step.RELEASED in state.done or state.overtaken
        if closed_at is None or committed or state.close_by is not None or state.unwinding:
            return state
        limit = closed_at_most(state.kind)
        if self.clock.now() - closed_at > limit:
            return state.unwind(
                f"the gate has been closed for {limit.total_seconds():.0f} s without a release"
            )
        return state

    def _may_have_lost_volumes(self, state: MoveState) -> bool:
        return state.kind is MoveKind.VOLUME and self.cloud is None and state.gate_is_shut

    def _unwind(self, state: MoveState) -> MoveState | Wait:
        """Before the release the old instance can always serve on: its state comes back, then its gate opens."""
        if state.volumes and self.cloud is not None:
            try:
                back = volumes.bring_back(self.cloud, state, self.keep)
            except CloudError as error:
                return Wait(self.limits.look_again, f"bringing the volumes back: {error}")
            if isinstance(back, Wait):
                return back
            state = back
        self.quiet.thaw()
        try:
            self.holding.resume()
        except StartFailed:
            return replace(state, ended=MoveEnd.UNWOUND)  # it is coming: whoever waited could hear no notice
        except GateFailed as error:
            return Wait(self.limits.look_again, f"opening the gate again: {error}")
        return replace(state, ended=MoveEnd.UNWOUND)

    def _until(self, state: MoveState, seconds: float) -> float:
        """No later than the limit, and than the notice's own moments."""
        seconds = min(seconds, self.limits.look_again)
        if state.close_by is None:
            return seconds
        now = self.clock.steady()
        moments = (
            _time_is_up(state.close_by, self.holding.flush_seconds, self.limits),
            _last_call(state, self.limits),
        )
        ahead = [(moment - now).total_seconds() for moment in moments if moment is not None and moment > now]
        return min([seconds, *ahead])

    # the steps

    def begin(self, state: MoveState) -> MoveState | Wait:
        return state.with_step(Step.DECIDED, state.begun_at)

    def launch(self, state: MoveState) -> MoveState | Wait:
        order, cloud = state.launch, self.cloud
        if state.target is not None:
            return state.with_step(Step.LAUNCHED, self.clock.now())
        if order is None or cloud is None:
            return Wait(self.limits.look_again, "the server launches the new instance")
        devices = order.block_devices
        if not devices and state.kind is MoveKind.SYNCED:  # a server without EC2 does not know our volumes
            devices = volumes.empty_alike(cloud, state.own)
        wish = LaunchWish(
            seed=order.token_seed,
            purpose="move",
            candidates=candidates_of(order.places),
            image_id=state.image_id or order.image_id,
            tags=order.tags,
            user_data=lambda: order.user_data,
            block_devices=devices,
            shape=lambda: shape_of(cloud, state.own, urgent=state.close_by is not None),
            at_once=order.at_once,
        )
        result = launch(cloud, self.intentions, wish, self.clock.now())
        spot, fixed = (
            refused(self.intentions.of(order.token_seed), mode) for mode in (Mode.SPOT, Mode.ONDEMAND)
        )
        state = replace(
            state,
            refused=tuple(pool.id for pool in spot),
            refused_ondemand=tuple(pool.id for pool in fixed),
        )
        if isinstance(result, NotYet):
            return Wait(max(1.0, result.again_seconds), result.because)
        if isinstance(result, Launched):
            view = result.instance
            named = NewInstance(view.instance_id, view.pool.id, view.mode, view.image_id)
            return replace(state, launched=named).with_step(Step.LAUNCHED, self.clock.now())
        if state.close_by is not None:
            return Wait(self.limits.look_again, result.because)
        return state.unwind(f"launch: {result.because}")

    def await_enrolment(self, state: MoveState) -> MoveState | Wait:
        if state.target is None:
            return Wait(self.limits.look_again, "waiting for the new instance to enrol")
        if self.cloud is not None and state.launched is not None and state.launch is not None:
            made = made_otherwise(
                self.cloud, self.intentions.of(state.launch.token_seed), state.launched.instance_id
            )
            state = replace(state, remarks=made)
        return state.with_step(Step.ENROLLED, self.clock.now())

    def first_pass(self, state: MoveState) -> MoveState | Wait:
        if state.target is None or self.sync.push(state.target) is None:
            return Wait(1.0, "a pass is under way")
        return state.with_step(Step.SYNCED, self.clock.now())

    def close_gate(self, state: MoveState) -> MoveState | Wait:
        if state.kind is MoveKind.IMAGE and state.close_by is None and not state.overtaken:
            because = self.state_missing()
            if because is not None:
                return state.unwind(f"an image of now would lack the state: {because}")
        self.holding.pause(at_any_rate=self._must_close(state))
        if state.kind is MoveKind.IMAGE and self.cloud is None:
            self.quiet.freeze()  # the server begins the image when it hears of the closed gate
        return state.with_step(Step.GATE_CLOSED, self.clock.now())

    def _must_close(self, state: MoveState) -> bool:
        """Whoever cannot write lets go of nothing, and serves as long as there is time."""
        if state.close_by is None:
            return state.overtaken
        return self.clock.steady() >= _time_is_up(state.close_by, self.holding.flush_seconds, self.limits)

    def send_delta(self, state: MoveState) -> MoveState | Wait:
        """The pass counts only if it holds the last write: one begun before the gate closed may not."""
        if state.target is None:
            return Wait(1.0, "there is no target")
        made = self.sync.push(state.target)
        if made is None or made.position < self.sync.position():
            return Wait(0.05, "the last pass is under way")
        return replace(state, position=made.position).with_step(Step.DELTA_SENT, self.clock.now())

    def make_image(self, state: MoveState) -> MoveState | Wait:
        if self.cloud is None:
            return Wait(self.limits.look_again, "the server makes the image")
        outcome = imaging.make(self.cloud, state, self.keep, self.quiet)
        return outcome if isinstance(outcome, Wait) else outcome.with_step(Step.IMAGED, self.clock.now())

    def move_volumes(self, state: MoveState) -> MoveState | Wait:
        if self.cloud is None or state.target is None:
            return Wait(self.limits.look_again, "the server moves the volumes")
        if not state.volumes:
            found = volumes.movable(self.cloud, state.own)
            if not found:
                return state.unwind("no volume besides the root is attached: nothing to move")
            if because := volumes.why_not_moved(found):
                return state.unwind(because)
            return replace(
                state, volumes=tuple(one.moved for one in found)
            )  # kept before the first one is detached
        waiting = volumes.bring(self.cloud, state, state.target.instance_id)
        return waiting or state.with_step(Step.VOLUMES_MOVED, self.clock.now())

    def release(self, state: MoveState) -> MoveState | Wait:
        heir = heir_of(state)
        if self._needs_server(state, heir) and not self.server_answers():
            return Wait(1.0, "the server does not answer: who let go now would leave nobody to serve")
        self.quiet.thaw()
        if self._was_written_since(state):
            return state.unwind("its state was changed after the last pass, with its gate closed")
        if not self.holding.release(state.epoch, heir):
            return self._gone_on(state)
        return replace(state.with_step(Step.RELEASED, self.clock.now()), ended=MoveEnd.RELEASED)

    def _was_written_since(self, state: MoveState) -> bool:
        """Since the last pass. Whoever had to wait looks: what has started the workload may have ended it too. Nobody
        waits with a notice.
        """
        sent = state.done.get(Step.DELTA_SENT)
        if sent is None or state.position is None or state.close_by is not None or state.overtaken:
            return False
        if self.clock.now() - sent < WAITED:
            return False
        return self.sync.position() > state.position

    def _gone_on(self, state: MoveState) -> MoveState:
        """Something else has started the workload after the gate was closed. With its volumes everything goes along,
        and who dies sends another last pass; else the move is given up, as an image or a standby is told to be whole.
        """
        lacks = state.kind is MoveKind.IMAGE or (state.kind is MoveKind.SYNCED and state.close_by is None)
        if lacks and not state.overtaken:
            return state.unwind("the workload was started by something else after its gate had been closed")
        self.holding.pause(at_any_rate=self._must_close(state))
        return replace(state.without_steps(Step.DELTA_SENT), position=None)

    def _needs_server(self, state: MoveState, heir: Heir | None) -> bool:
        """A release is never taken back: without a notice, and with the state here, it can wait for the server."""
        can_wait = state.close_by is None and not state.overtaken and state.kind is not MoveKind.VOLUME
        return can_wait and not (heir is not None and self.holding.may_hand_over(state.epoch, heir))


def heir_of(state: MoveState) -> Heir | None:
    """Who has everything; None while nobody is known to."""
    closed, sent = state.done.get(Step.GATE_CLOSED), state.done.get(Step.DELTA_SENT)
    if state.target is None or state.position is None or closed is None or sent is None:
        return None
    return Heir(state.target, state.begun_at, closed, sent, state.position)


_WORK: dict[Step, Callable[[OldHalf, MoveState], MoveState | Wait]] = {
    Step.DECIDED: OldHalf.begin,
    Step.LAUNCHED: OldHalf.launch,
    Step.ENROLLED: OldHalf.await_enrolment,
    Step.SYNCED: OldHalf.first_pass,
    Step.GATE_CLOSED: OldHalf.close_gate,
    Step.DELTA_SENT: OldHalf.send_delta,
    Step.IMAGED: OldHalf.make_image,
    Step.VOLUMES_MOVED: OldHalf.move_volumes,
    Step.RELEASED: OldHalf.release,
}


def next_step(state: MoveState, now: datetime, flush_seconds: float, limits: Limits) -> Step | None:
    """The planned order; when the time of a notice is up, or another holds the epoch, only what still helps. `now`: by
    the steady clock.
    """
    left = remaining(state)
    if state.gate_is_shut:  # the last pass is the first one too
        left = tuple(step for step in left if step is not Step.SYNCED)
    if state.overtaken or _is_past(now, _last_call(state, limits)):
        left = tuple(step for step in left if step in (Step.GATE_CLOSED, Step.RELEASED))
    elif state.close_by is not None and now >= _time_is_up(state.close_by, flush_seconds, limits):
        helps = {Step.GATE_CLOSED, Step.RELEASED}
        if state.target is not None:
            helps |= {Step.DELTA_SENT, Step.VOLUMES_MOVED}
        left = tuple(step for step in left if step in helps)
    return left[0] if left else None


def _time_is_up(close_by: datetime, flush_seconds: float, limits: Limits) -> datetime:
    return close_by - timedelta(seconds=flush_seconds + limits.margin)


def _last_call(state: MoveState, limits: Limits) -> datetime | None:
    return None if state.close_by is None else state.close_by - timedelta(seconds=limits.last_call)


def _is_past(now: datetime, moment: datetime | None) -> bool:
    return moment is not None and now >= moment
