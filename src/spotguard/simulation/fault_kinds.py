"""Kinds of faults, one fault of a schedule, and what stands for its target at the moment when it strikes.

A fault hits one agent of the world, by its name, and whatever stands for it then: its serving instance, its standby,
the new instance of its move. Kinds whose target does not exist then do nothing and are not counted as reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from random import Random

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import SwitchStatus
from spotguard.simulation import lookups
from spotguard.simulation.trouble import Trouble
from spotguard.simulation.world import World, coordinator_name


class FaultKind(StrEnum):
    """Names as reports show them."""

    REQUESTS_LOST = "requests_lost"
    ANSWERS_LOST = "answers_lost"
    CALLS_DOUBLED = "calls_doubled"
    CALLS_DELAYED = "calls_delayed"
    PARTITION = "partition"
    PARTITION_ONE_WAY = "partition_one_way"
    OLD_CUT_OFF = "old_cut_off"
    SERVER_AWAY = "server_away"
    AGENT_KILLED = "agent_killed"
    AGENT_DIES_AT_EFFECT = "agent_dies_at_effect"
    SUCCESSOR_DIES_AT_EFFECT = "successor_dies_at_effect"
    AGENT_FROZEN = "agent_frozen"
    AGENT_SLOW = "agent_slow"
    DISK_FULL = "disk_full"
    TORN_JOURNAL = "torn_journal"
    DISK_ROTS = "disk_rots"
    CLOCK_STEPPED = "clock_stepped"
    COORDINATOR_DIES_AT_EFFECT = "coordinator_dies_at_effect"
    COORDINATOR_FROZEN = "coordinator_frozen"
    DATABASE_DEADLOCKS = "database_deadlocks"
    DATABASE_LOST_COMMITS = "database_lost_commits"
    EC2_THROTTLES = "ec2_throttles"
    EC2_ERRORS = "ec2_errors"
    EC2_ANSWERS_LOST = "ec2_answers_lost"
    EC2_FORBIDS = "ec2_forbids"
    EC2_QUOTA = "ec2_quota"
    EC2_CAPACITY = "ec2_capacity"
    EC2_COPY_FAILS = "ec2_copy_fails"
    EC2_HIDES = "ec2_hides"
    POOL_DRY = "pool_dry"
    EVERY_POOL_DRY = "every_pool_dry"
    IMDS_UNAUTHORIZED = "imds_unauthorized"
    IMDS_THROTTLED = "imds_throttled"
    IMDS_HANGS = "imds_hangs"
    IMDS_TOKENS_FORGOTTEN = "imds_tokens_forgotten"
    REBALANCE = "rebalance"
    NOTICE = "notice"
    NOTICE_LATE = "notice_late"
    NOTICE_ABSENT = "notice_absent"
    NOTICE_WITH_REBALANCE = "notice_with_rebalance"
    STANDBY_NOTICE = "standby_notice"
    POOL_WAVE = "pool_wave"
    ZONE_WAVE = "zone_wave"
    INSTANCE_DIES = "instance_dies"
    STANDBY_DIES = "standby_dies"
    SUCCESSOR_DIES = "successor_dies"
    STRANGER_TERMINATES = "stranger_terminates"
    REBOOT = "reboot"
    STOP_AND_START = "stop_and_start"
    HIBERNATES = "hibernates"
    HANGS = "hangs"
    CLICKS = "clicks"
    TOGGLES = "toggles"
    KILL_SWITCH = "kill_switch"
    FORCED_MOVE = "forced_move"
    ANSWERS = "answers"
    PROBES = "probes"
    PROMOTION = "promotion"
    FAILOVER_DRILL = "failover_drill"
    RESTORE_DRILL = "restore_drill"
    ONE_ZONE = "one_zone"
    POISONED_PRICES = "poisoned_prices"
    GARBAGE_REPORTS = "garbage_reports"


@dataclass(frozen=True)
class Fault:
    """One fault of a schedule. `at_seconds` from the start; `seconds` is how long it lasts."""

    at_seconds: float
    kind: FaultKind
    agent: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.at_seconds:.0f} s {self.kind} {self.agent} for {self.seconds:.0f} s"


@dataclass(frozen=True)
class Scene:
    """What a fault is given. `dice` belong to this fault alone, so that leaving one out changes no other."""

    world: World
    fault: Fault
    dice: Random

    @property
    def agent(self) -> lookups.Row:
        return lookups.agent(self.world, self.fault.agent)

    @property
    def serving(self) -> InstanceId | None:
        return _running(self.world, self.agent.instance_id)

    @property
    def standby(self) -> InstanceId | None:
        live = [row for row in lookups.replicas(self.world, self.agent.id) if row.is_active]
        return _running(self.world, live[-1].instance_id) if live else None

    @property
    def successor(self) -> InstanceId | None:
        """The new instance of its open move."""
        moves = lookups.moves(self.world, self.agent.id)
        is_open = bool(moves) and moves[-1].status == SwitchStatus.PREPARING.value
        return _running(self.world, moves[-1].new_instance_id) if is_open else None

    @property
    def old(self) -> InstanceId | None:
        """The old instance of its newest move, while it waits for its end."""
        moves = lookups.moves(self.world, self.agent.id)
        waiting = bool(moves) and moves[-1].status == SwitchStatus.COMMITTED.value
        return _running(self.world, moves[-1].old_instance_id) if waiting else None

    def trouble(self, instance_id: InstanceId | None) -> Trouble | None:
        return None if instance_id is None else self.world.trouble_of(instance_id)

    def coordinator(self) -> Trouble:
        return self.world.trouble_of(coordinator_name(self.dice.randrange(len(self.world.seats))))


def cut_off(scene: Scene, target: InstanceId, seconds: float, *undo: Callable[[], None]) -> None:
    """Neither the server nor another instance reaches it, for so long."""
    line, cut = scene.world.trouble_of(target).line, scene.world.fabric.cut_off
    line.request_lost = 1.0
    cut.add(target)
    for_a_while(
        scene,
        partial(setattr, line, "request_lost", 0.0),
        partial(cut.discard, target),
        *undo,
        seconds=seconds,
    )


def for_a_while(scene: Scene, *undo: Callable[[], None], seconds: float | None = None) -> None:
    """After the fault's time, or another; a fault has one end."""
    at = scene.world.clock.now() + timedelta(seconds=scene.fault.seconds if seconds is None else seconds)
    scene.world.schedule.plan(("fault ends", scene.fault), at, lambda: _each(undo))


def _each(actions: tuple[Callable[[], None], ...]) -> None:
    for action in actions:
        action()


def _running(world: World, instance_id: str | None) -> InstanceId | None:
    if instance_id is None:
        return None
    machine = world.ec2.world.machines.get(InstanceId(instance_id))
    return InstanceId(instance_id) if machine and machine.state is InstanceState.RUNNING else None
