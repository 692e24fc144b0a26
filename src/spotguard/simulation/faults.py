"""What each kind of fault does, and how it ends where it does not end by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import Random

from spotguard.cloud.simulated.imds import ImdsFault
from spotguard.domain.errors import Doubtful, PoolDry, QuotaReached, Throttled
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.simulation import crowd, ec2_faults, hangs, lookups
from spotguard.simulation.fault_kinds import FaultKind, Scene, cut_off, for_a_while
from spotguard.simulation.process import AgentProcess
from spotguard.simulation.trouble import Death, Effect, Trouble
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.simulation.world import World

ROTTEN = ("primacy", "enrolment", "outbox", "signals", "move", "commands")  # of an agent's files

GOES_DOWN = timedelta(seconds=30)
ASKED_AT_MINUTES = range(3, 40, 3)

Begin = Callable[[Scene], bool]
"""True when the fault found its target."""


def begin(scene: Scene) -> bool:
    return _BEGIN[scene.fault.kind](scene)


def end_all(world: World) -> None:
    """Faults stop. What they did to the world stays done."""
    world.link.away = False
    world.fabric.cut_off.clear()
    world.ec2.faults.clear()
    world.ec2.controls.hide_new(None)
    for trouble in world.troubles.values():
        trouble.clear()
    if isinstance(world.db, TroubledDatabase):
        world.db.clear()
    for pool in world.ec2.pools():
        world.ec2.controls.end_dryness(pool)
    for instance_id in world.processes:
        world.ec2.controls.disturb_metadata(instance_id, None)
    for instance_id, machine in list(world.ec2.world.machines.items()):
        hangs.is_well(world, instance_id)
        if machine.hibernates:  # nobody takes over from it: somebody starts it
            _start_again(world, instance_id)
    crowd.release(world)


# lines, processes, disks, clocks


def _line(name: str, share: float, scene: Scene) -> bool:
    troubles = [t for t in map(scene.trouble, (scene.serving, scene.standby, scene.successor)) if t]
    for trouble in troubles:
        setattr(trouble.line, name, share)
    for_a_while(scene, *(partial(setattr, trouble.line, name, 0.0) for trouble in troubles))
    return bool(troubles)


def _old_cut_off(scene: Scene) -> bool:
    """Neither the server nor its successor reaches it, for ten minutes at the least."""
    if scene.old is None:
        return False
    cut_off(scene, scene.old, max(600.0, scene.fault.seconds))
    return True


def _server_away(scene: Scene) -> bool:
    """One in four times for hours rather than minutes."""
    scene.world.link.away = True
    seconds = scene.fault.seconds * scene.dice.choice([1, 1, 1, 12])
    for_a_while(scene, lambda: setattr(scene.world.link, "away", False), seconds=seconds)
    return True


def _process(scene: Scene) -> AgentProcess | None:
    serving = scene.serving
    return None if serving is None else scene.world.processes.get(serving)


def _agent_killed(scene: Scene) -> bool:
    process = _process(scene)
    if process is None:
        return False
    process.die()
    return True


_DEEDS_AT_MOST = 3  # a whole move has hardly more


def _dies_at_effect(most: int, trouble: Trouble | None, scene: Scene) -> bool:
    if trouble is None:
        return False
    sort = scene.dice.choice([None, *Effect])
    number = scene.dice.randint(1, _DEEDS_AT_MOST if sort is Effect.DEED else most)
    trouble.death = Death(number, scene.dice.choice([True, False]), sort)
    return True


def _frozen(trouble: Trouble | None, scene: Scene) -> bool:
    if trouble is None:
        return False
    trouble.frozen_until = scene.world.clock.now() + timedelta(seconds=scene.fault.seconds)
    return True


def _slow(scene: Scene) -> bool:
    trouble = scene.trouble(scene.serving)
    if trouble is None:
        return False
    trouble.slow_seconds = scene.dice.uniform(1, 20)
    for_a_while(scene, lambda: setattr(trouble, "slow_seconds", 0.0))
    return True


def _disk_full(scene: Scene) -> bool:
    trouble = scene.trouble(scene.serving)
    if trouble is None:
        return False
    trouble.disk_full = True
    for_a_while(scene, lambda: setattr(trouble, "disk_full", False))
    return True


def _torn_journal(scene: Scene) -> bool:
    """The process dies in the middle of a line."""
    process = _process(scene)
    if process is None:
        return False
    process.disk.append("outbox", b'00000000 {"put": {"id"')
    process.die()
    return True


def _disk_rots(scene: Scene) -> bool:
    """One bit of one of its files has changed, and the process that knew better is gone."""
    process = _process(scene)
    if process is None:
        return False
    name = scene.dice.choice(ROTTEN)
    written = process.disk.read(name)
    if not written:
        return False
    at = scene.dice.randrange(len(written))
    changed = written[at] ^ 1 << scene.dice.randrange(8)
    process.disk.replace(name, written[:at] + bytes([changed]) + written[at + 1 :])
    process.die()
    return True


def _clock_stepped(scene: Scene) -> bool:
    trouble = scene.trouble(scene.serving)
    if trouble is None:
        return False
    trouble.clock_ahead = timedelta(seconds=scene.dice.choice([-3600, -90, -5, 5, 90, 3600, 86_400]))
    return True


# metadata and signals


def _imds(fault: ImdsFault, scene: Scene) -> bool:
    serving = scene.serving
    if serving is None:
        return False
    until = scene.world.clock.now() + timedelta(seconds=scene.fault.seconds)
    scene.world.ec2.controls.disturb_metadata(serving, fault, until)
    return True


def _forget_tokens(scene: Scene) -> bool:
    serving = scene.serving
    if serving is None:
        return False
    scene.world.ec2.controls.forget_metadata_tokens(serving)
    return True


def _spot(scene: Scene, instance_id: InstanceId | None) -> InstanceId | None:
    machine = scene.world.ec2.world.machines.get(instance_id) if instance_id is not None else None
    return instance_id if machine is not None and machine.mode is Mode.SPOT else None


def _notice(seconds: int, scene: Scene, *, rebalance: bool = False, standby: bool = False) -> bool:
    target = _spot(scene, scene.standby if standby else scene.serving)
    if target is None:
        return False
    if rebalance:
        scene.world.ec2.controls.signal_rebalance(target)
    scene.world.ec2.controls.interrupt(target, notice_seconds=seconds)
    return True


def _rebalance(scene: Scene) -> bool:
    target = _spot(scene, scene.serving)
    if target is None:
        return False
    scene.world.ec2.controls.signal_rebalance(target)
    return True


def _pool_wave(scene: Scene) -> bool:
    pool = lookups.spot_pool(scene.world, scene.fault.agent)
    if pool is None:
        return False
    scene.world.ec2.controls.interrupt(pool)
    return True


def _zone_wave(scene: Scene) -> bool:
    pool = lookups.spot_pool(scene.world, scene.fault.agent)
    if pool is None:
        return False
    for other in scene.world.ec2.pools():
        if other.az == pool.az:
            scene.world.ec2.controls.interrupt(other)
    return True


# machines


def _machine(what: str, which: Callable[[Scene], InstanceId | None], scene: Scene) -> bool:
    target = which(scene)
    if target is None:
        return False
    getattr(scene.world.ec2.controls, what)(target)
    return True


def _stop_and_start(scene: Scene) -> bool:
    """Somebody stops an on-demand instance and starts it again."""
    target = scene.serving
    if target is None or _spot(scene, target) is not None:
        return False
    scene.world.ec2.controls.stop(target)
    for_a_while(scene, partial(_start_again, scene.world, target))
    return True


def _hibernates(scene: Scene) -> bool:
    """Somebody lets an on-demand instance sleep, as it was launched to be able to, and wakes it."""
    target = scene.serving
    if target is None or _spot(scene, target) is not None:
        return False
    scene.world.ec2.controls.configure_hibernation(target)
    scene.world.ec2.controls.hibernate(target)
    for_a_while(scene, partial(_start_again, scene.world, target))
    return True


def _start_again(world: World, instance_id: InstanceId) -> None:
    """What is still on its way down is started as soon as it has stopped."""
    machine = world.ec2.world.machines.get(instance_id)
    if machine is None:
        return
    if machine.state is InstanceState.STOPPED:
        world.ec2.controls.start(instance_id)
    elif machine.state is InstanceState.STOPPING:
        again = partial(_start_again, world, instance_id)
        world.schedule.plan(("starts again", instance_id), world.clock.now() + GOES_DOWN, again)


# databases


def _database(name: str, scene: Scene) -> bool:
    db = scene.world.db
    if not isinstance(db, TroubledDatabase):
        return False
    setattr(db, name, 0.2)
    for_a_while(scene, partial(setattr, db, name, 0.0))
    return True


# people


def _people(what: Callable[[World, str, Random], bool], scene: Scene) -> bool:
    return what(scene.world, scene.fault.agent, scene.dice)


def _answers(scene: Scene) -> bool:
    """Its user wants to be asked before it moves, and answers now and then; later it moves by itself again."""
    world, name, now = scene.world, scene.fault.agent, scene.world.clock.now()
    for minutes in ASKED_AT_MINUTES:
        said = partial(crowd.answers, world, name, scene.dice)
        world.schedule.plan(("answers", scene.fault, minutes), now + timedelta(minutes=minutes), said)
    for_a_while(scene, partial(crowd.asks_no_more, world, name))
    return crowd.asks_first(world, name)


def _later(what: Callable[[World], None], did: Begin, scene: Scene) -> bool:
    for_a_while(scene, partial(what, scene.world))
    return did(scene)


_BEGIN: dict[FaultKind, Begin] = {
    FaultKind.REQUESTS_LOST: partial(_line, "request_lost", 0.5),
    FaultKind.ANSWERS_LOST: partial(_line, "answer_lost", 0.5),
    FaultKind.CALLS_DOUBLED: partial(_line, "doubled", 0.7),
    FaultKind.CALLS_DELAYED: partial(_line, "delayed", 0.5),
    FaultKind.PARTITION: partial(_line, "request_lost", 1.0),
    FaultKind.PARTITION_ONE_WAY: partial(_line, "answer_lost", 1.0),
    FaultKind.OLD_CUT_OFF: _old_cut_off,
    FaultKind.SERVER_AWAY: _server_away,
    FaultKind.AGENT_KILLED: _agent_killed,
    FaultKind.AGENT_DIES_AT_EFFECT: lambda s: _dies_at_effect(12, s.trouble(s.serving), s),
    FaultKind.SUCCESSOR_DIES_AT_EFFECT: lambda s: _dies_at_effect(8, s.trouble(s.successor), s),
    FaultKind.AGENT_FROZEN: lambda s: _frozen(s.trouble(s.serving), s),
    FaultKind.AGENT_SLOW: _slow,
    FaultKind.DISK_FULL: _disk_full,
    FaultKind.TORN_JOURNAL: _torn_journal,
    FaultKind.DISK_ROTS: _disk_rots,
    FaultKind.CLOCK_STEPPED: _clock_stepped,
    FaultKind.COORDINATOR_DIES_AT_EFFECT: lambda s: _dies_at_effect(10, s.coordinator(), s),
    FaultKind.COORDINATOR_FROZEN: lambda s: _frozen(s.coordinator(), s),
    FaultKind.DATABASE_DEADLOCKS: partial(_database, "deadlock"),
    FaultKind.DATABASE_LOST_COMMITS: partial(_database, "lost_commit"),
    FaultKind.EC2_THROTTLES: lambda s: ec2_faults.ec2_fails(
        lambda: Throttled("RequestLimitExceeded"), 0.6, after_effect=False, scene=s
    ),
    FaultKind.EC2_ERRORS: lambda s: ec2_faults.ec2_fails(
        lambda: Doubtful("InternalError"), 0.4, after_effect=False, scene=s
    ),
    FaultKind.EC2_ANSWERS_LOST: lambda s: ec2_faults.ec2_fails(
        lambda: Doubtful("RequestTimeout"), 0.4, after_effect=True, scene=s
    ),
    FaultKind.EC2_FORBIDS: ec2_faults.forbids,
    FaultKind.EC2_QUOTA: partial(ec2_faults.launches_refused, "MaxSpotInstanceCountExceeded", QuotaReached),
    FaultKind.EC2_CAPACITY: partial(ec2_faults.launches_refused, "InsufficientInstanceCapacity", PoolDry),
    FaultKind.EC2_COPY_FAILS: ec2_faults.copy_fails,
    FaultKind.EC2_HIDES: ec2_faults.hides,
    FaultKind.POOL_DRY: ec2_faults.dry,
    FaultKind.EVERY_POOL_DRY: ec2_faults.every_pool_dry,
    FaultKind.IMDS_UNAUTHORIZED: partial(_imds, ImdsFault.UNAUTHORIZED),
    FaultKind.IMDS_THROTTLED: partial(_imds, ImdsFault.THROTTLED),
    FaultKind.IMDS_HANGS: partial(_imds, ImdsFault.HANG),
    FaultKind.IMDS_TOKENS_FORGOTTEN: _forget_tokens,
    FaultKind.REBALANCE: _rebalance,
    FaultKind.NOTICE: partial(_notice, 120),
    FaultKind.NOTICE_LATE: partial(_notice, 15),
    FaultKind.NOTICE_ABSENT: partial(_notice, 0),
    FaultKind.NOTICE_WITH_REBALANCE: partial(_notice, 120, rebalance=True),
    FaultKind.STANDBY_NOTICE: partial(_notice, 120, standby=True),
    FaultKind.POOL_WAVE: _pool_wave,
    FaultKind.ZONE_WAVE: _zone_wave,
    FaultKind.INSTANCE_DIES: partial(_machine, "fail_instance", lambda s: s.serving),
    FaultKind.STANDBY_DIES: partial(_machine, "fail_instance", lambda s: s.standby),
    FaultKind.SUCCESSOR_DIES: partial(_machine, "fail_instance", lambda s: s.successor),
    FaultKind.STRANGER_TERMINATES: partial(_machine, "end_by_stranger", lambda s: s.serving),
    FaultKind.REBOOT: partial(_machine, "reboot", lambda s: s.serving),
    FaultKind.STOP_AND_START: _stop_and_start,
    FaultKind.HIBERNATES: _hibernates,
    FaultKind.HANGS: hangs.hangs,
    FaultKind.CLICKS: partial(_people, crowd.clicks),
    FaultKind.TOGGLES: partial(_people, crowd.toggles),
    FaultKind.KILL_SWITCH: partial(_later, crowd.release, partial(_people, crowd.kill_switch)),
    FaultKind.FORCED_MOVE: partial(_people, crowd.forced_move),
    FaultKind.ANSWERS: _answers,
    FaultKind.PROBES: partial(_people, crowd.pays_for_probes),
    FaultKind.PROMOTION: partial(_people, crowd.promotion),
    FaultKind.FAILOVER_DRILL: partial(_people, crowd.failover_drill),
    FaultKind.RESTORE_DRILL: partial(_people, crowd.restore_drill),
    FaultKind.ONE_ZONE: partial(_people, crowd.one_zone),
    FaultKind.POISONED_PRICES: partial(_people, crowd.poisoned_prices),
    FaultKind.GARBAGE_REPORTS: partial(_people, crowd.garbage_reports),
}
