"""What must always be true, checked over rows: by the coordinator, the health page, the simulation and the tests.

Each check takes facts and tells what is broken, one sentence each; none is silent about an empty world. Those that need
the whole system in motion (a command takes effect once, no report is lost, tenants are walls …) are the tests' and the
simulation's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus, ReplicaType
from spotguard.domain.switches import AFTER_GRANT, OPEN_SWITCH, Step, SwitchStatus, Trigger
from spotguard.planning.deadlines import DueStep

ORPHAN_AFTER = timedelta(minutes=5)
CONVERGES_WITHIN = timedelta(minutes=10)
RETURN_PAUSE = timedelta(hours=6)
MANY_SWITCHES_A_DAY = 3


@dataclass(frozen=True, slots=True)
class AgentFact:
    """An agent's row, as far as it must agree with others."""

    agent_id: str
    client_id: str
    epoch: int
    instance_id: str | None
    auto_switch_enabled: bool
    manual_replica_enabled: bool
    replica_count: int
    current_replica_id: str | None
    instance_count: int
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class GrantFact:
    """One epoch. `former_died`: EC2 has ended the former holder. `ticket_out_to`: who lives and could have taken this
    epoch by a ticket when it was granted to another one. `heir`: to whom its holder may give the next one by a ticket.
    """

    agent_id: str
    epoch: int
    instance_id: str
    status: GrantStatus
    granted_at: datetime
    proof: Proof
    released_at: datetime | None
    former_released_at: datetime | None
    former_died: bool
    ticket_out_to: str | None = None
    heir: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceFact:
    """A machine. `gate_open`: what its newest heartbeat said."""

    instance_id: str
    agent_id: str | None
    client_id: str
    is_active: bool
    gate_open: bool
    heard_at: datetime | None
    mode: Mode | None
    usd_per_hour: Decimal | None
    is_ours: bool  # SpotGuard launched it
    since: datetime
    has_role: bool  # referenced by a live row: a grant, a live replica, an open switch, an open intention


@dataclass(frozen=True, slots=True)
class ReplicaFact:
    """A replica row."""

    replica_id: str
    agent_id: str
    replica_type: ReplicaType
    status: ReplicaStatus
    is_active: bool
    instance_id: str | None
    instance_held_epoch: bool
    is_outgoing: bool = False


@dataclass(frozen=True, slots=True)
class SwitchFact:
    """A switch with its steps."""

    switch_id: str
    agent_id: str
    status: SwitchStatus
    trigger: Trigger
    steps: frozenset[Step]
    at: datetime
    deadline_at: datetime | None
    voluntary: bool  # the engine's own, not a recovery to spot
    most_a_day: int = MANY_SWITCHES_A_DAY  # how many the agent allowed when it was let in
    old_ended_by_us: bool = False  # we asked EC2 for its end; False: unknown, or it went by itself
    due: DueStep | None = None  # what it waits for; None: nothing, or somebody who is away


@dataclass(frozen=True, slots=True)
class StorageFact:
    """A volume, snapshot or image that carries our tags."""

    resource_id: str
    referenced: bool
    suspect_since: datetime | None


@dataclass(frozen=True, slots=True)
class CapFact:
    """A cap under which a client's newest voluntary launch or standby was let in, and what it came to with it.

    `reached` None: a price was not known.
    """

    client_id: str
    cap: str
    limit: Decimal
    reached: Decimal | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks look at."""

    now: datetime
    agents: Sequence[AgentFact] = ()
    grants: Sequence[GrantFact] = ()
    instances: Sequence[InstanceFact] = ()
    replicas: Sequence[ReplicaFact] = ()
    switches: Sequence[SwitchFact] = ()
    storage: Sequence[StorageFact] = ()
    caps: Sequence[CapFact] = field(default=())


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken promise."""

    invariant: str
    what: str


Check = Callable[[Facts], Iterator[str]]


def one_primary(facts: Facts) -> Iterator[str]:
    """At most one grant is held per agent, and at most one gate is open: the holder's, or, when that has let go, its
    heir's by a ticket, which these rows may grant the epoch later.
    """
    held = Counter(g.agent_id for g in facts.grants if g.status is GrantStatus.HELD)
    yield from (f"agent {agent} has {count} held epochs" for agent, count in held.items() if count > 1)
    newest = {g.agent_id: g for g in facts.grants if g.status is GrantStatus.HELD}
    for machine in facts.instances:
        if not (machine.is_active and machine.gate_open and machine.agent_id in newest):
            continue
        grant = newest[machine.agent_id]
        stale = machine.heard_at is None or machine.heard_at <= grant.granted_at
        inherits = grant.released_at is not None and grant.heir == machine.instance_id
        if grant.instance_id != machine.instance_id and not stale and not inherits:
            yield f"{machine.instance_id} serves agent {machine.agent_id} without its epoch"


def the_agent_is_where_its_epoch_is(facts: Facts) -> Iterator[str]:
    """`agents.epoch` and `instance_id` name the newest grant."""
    newest = {g.agent_id: g for g in sorted(facts.grants, key=lambda g: g.epoch)}
    for agent in facts.agents:
        grant = newest.get(agent.agent_id)
        if (grant.epoch if grant else 0) != agent.epoch:
            yield f"agent {agent.agent_id} says epoch {agent.epoch}, its newest grant is {grant.epoch if grant else 0}"
        elif grant is not None and grant.instance_id != agent.instance_id:
            yield f"agent {agent.agent_id} says {agent.instance_id}, epoch {grant.epoch} is {grant.instance_id}'s"


def every_epoch_ends_by_a_proof(facts: Facts) -> Iterator[str]:
    """The chain has no gap, and each grant after the first rests on a release or a death that the rows show."""
    by_agent: dict[str, list[GrantFact]] = {}
    for grant in sorted(facts.grants, key=lambda g: g.epoch):
        by_agent.setdefault(grant.agent_id, []).append(grant)
    for agent_id, chain in by_agent.items():
        if [grant.epoch for grant in chain] != list(range(1, len(chain) + 1)):
            yield f"agent {agent_id} has a gap in its epochs"
        for grant in chain:
            if not _proof_holds(grant):
                yield f"epoch {grant.epoch} of agent {agent_id} says {grant.proof}, the rows do not"
            if grant.ticket_out_to is not None:
                yield f"epoch {grant.epoch} of agent {agent_id} was granted with a ticket out to {grant.ticket_out_to}"


def _proof_holds(grant: GrantFact) -> bool:
    match grant.proof:
        case Proof.FIRST:
            return grant.epoch == 1
        case Proof.RELEASED:
            return grant.former_released_at is not None
        case Proof.DEAD | Proof.VANISHED:
            return grant.former_died
        case Proof.VOLUME_MOVED:
            return True  # the attachment has moved on since: only the moment of the grant could tell


def counters_equal_rows(facts: Facts) -> Iterator[str]:
    """Ruling S6: `replica_count`, `current_replica_id`, `instance_count`, `is_active`."""
    machines = Counter(m.agent_id for m in facts.instances if m.is_active)
    live: dict[str, set[str]] = {}
    for replica in facts.replicas:
        if replica.is_active is not (replica.status in LIVE_REPLICA):
            yield f"replica {replica.replica_id} is {replica.status} and is_active {replica.is_active}"
        if replica.is_active:
            live.setdefault(replica.agent_id, set()).add(replica.replica_id)
    for agent in facts.agents:
        own = live.get(agent.agent_id, set())
        if agent.replica_count != len(own):
            yield f"agent {agent.agent_id} counts {agent.replica_count} replicas, there are {len(own)}"
        named = agent.current_replica_id
        if (named not in own) if own else (named is not None):
            yield f"agent {agent.agent_id} names the replica {agent.current_replica_id}, which is not alive"
        if agent.instance_count != machines[agent.agent_id]:
            yield f"agent {agent.agent_id} counts {agent.instance_count} instances, not {machines[agent.agent_id]}"


def only_legal_states(facts: Facts) -> Iterator[str]:
    """Modes exclude each other; one live manual replica; what is committed was granted, what was unwound was not."""
    for agent in facts.agents:
        if agent.auto_switch_enabled and agent.manual_replica_enabled:
            yield f"agent {agent.agent_id} has both modes"
    manual = Counter(
        r.agent_id
        for r in facts.replicas
        if r.is_active and not r.is_outgoing and r.replica_type is ReplicaType.MANUAL
    )
    yield from (
        f"agent {agent} has {count} live manual replicas" for agent, count in manual.items() if count > 1
    )
    preparing = Counter(s.agent_id for s in facts.switches if s.status is SwitchStatus.PREPARING)
    yield from (f"agent {agent} has {count} open moves" for agent, count in preparing.items() if count > 1)
    for switch in facts.switches:
        granted = Step.GRANTED in switch.steps
        if switch.status is SwitchStatus.COMMITTED and not granted:
            yield f"switch {switch.switch_id} is committed without a grant"
        if switch.status in (SwitchStatus.PREPARING, SwitchStatus.UNWOUND) and switch.steps & AFTER_GRANT:
            yield f"switch {switch.switch_id} is {switch.status} and has steps after its grant"


def the_old_survives_until_the_new_is_proven(facts: Facts) -> Iterator[str]:
    """No old instance is ended by us before the new one was verified, and none ends before the grant of a plan."""
    for switch in facts.switches:
        if switch.old_ended_by_us and Step.OLD_ENDED in switch.steps and Step.VERIFIED not in switch.steps:
            yield f"switch {switch.switch_id} ended its old instance before the new one was verified"
        ended_early = Step.OLD_ENDED in switch.steps and Step.GRANTED not in switch.steps
        if (
            ended_early
            and switch.status in OPEN_SWITCH
            and switch.trigger in (Trigger.AUTO_SWITCH, Trigger.MANUAL)
        ):
            yield f"switch {switch.switch_id} ended its old instance before the grant"


def a_promoted_replica_was_granted(facts: Facts) -> Iterator[str]:
    """A replica row says promoted only when its instance was given an epoch, and is no standby any more then."""
    for replica in facts.replicas:
        if replica.status is ReplicaStatus.PROMOTED and not replica.instance_held_epoch:
            yield f"replica {replica.replica_id} is promoted, {replica.instance_id} never held an epoch"
        if replica.status in LIVE_REPLICA and replica.instance_held_epoch:
            yield f"replica {replica.replica_id} is {replica.status}, {replica.instance_id} was given an epoch"


def no_orphan(facts: Facts) -> Iterator[str]:
    """Everything of ours is referenced by a live row, or was noticed less than five minutes ago (invariant 6)."""
    for machine in facts.instances:
        if (
            machine.is_active
            and machine.is_ours
            and not machine.has_role
            and facts.now - machine.since > ORPHAN_AFTER
        ):
            yield f"{machine.instance_id} runs for nobody since {machine.since:%Y-%m-%d %H:%M:%S}"
    for thing in facts.storage:
        if (
            thing.suspect_since is not None
            and not thing.referenced
            and facts.now - thing.suspect_since > ORPHAN_AFTER
        ):
            yield f"{thing.resource_id} belongs to nothing since {thing.suspect_since:%Y-%m-%d %H:%M:%S}"


def no_flapping(facts: Facts) -> Iterator[str]:
    """No more voluntary switches within a day than the agent allowed when the last was let in (invariant 11)."""
    by_agent: dict[str, list[SwitchFact]] = {}
    for switch in facts.switches:
        if switch.voluntary and switch.trigger is Trigger.AUTO_SWITCH:
            by_agent.setdefault(switch.agent_id, []).append(switch)
    for agent_id, made in by_agent.items():
        for last in made:
            count = sum(last.at - timedelta(days=1) < switch.at <= last.at for switch in made)
            if count > last.most_a_day:
                yield f"agent {agent_id} made {count} voluntary switches within a day, {last.most_a_day} were allowed"


def spend_caps_hold(facts: Facts) -> Iterator[str]:
    """No voluntary launch and no standby was let in above a cap: USD/h, instances, launches (invariant 12)."""
    for cap in facts.caps:
        if cap.reached is None:
            yield f"client {cap.client_id} was let in under {cap.cap} {cap.limit}, and a price was not known"
        elif cap.reached > cap.limit:
            yield f"client {cap.client_id} came to {cap.reached} by its own wish: its {cap.cap} is {cap.limit}"


def nothing_waits_for_ever(facts: Facts) -> Iterator[str]:
    """No move, and no step of one, is open long past its deadline (invariant 18)."""
    for switch in facts.switches:
        late = switch.deadline_at is not None and facts.now - switch.deadline_at > CONVERGES_WITHIN
        if switch.status is SwitchStatus.PREPARING and late:
            yield f"switch {switch.switch_id} is open past its deadline"
        elif switch.due is not None and facts.now - switch.due.at > CONVERGES_WITHIN:
            yield f"switch {switch.switch_id} waits for {switch.due.step}, due at {switch.due.at:%Y-%m-%d %H:%M:%S}"


INVARIANTS: tuple[Check, ...] = (
    one_primary,
    the_agent_is_where_its_epoch_is,
    every_epoch_ends_by_a_proof,
    counters_equal_rows,
    only_legal_states,
    the_old_survives_until_the_new_is_proven,
    a_promoted_replica_was_granted,
    no_orphan,
    no_flapping,
    spend_caps_hold,
    nothing_waits_for_ever,
)


def check(facts: Facts) -> list[Breach]:
    """Every breach of every invariant."""
    return [Breach(invariant.__name__, what) for invariant in INVARIANTS for what in invariant(facts)]
