"""Each invariant can fail (invariant 19): a planted breach that it catches, and clean worlds that it leaves alone."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from spotguard.domain.epochs import GrantStatus, Proof
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import Step, SwitchStatus, Trigger, WhenLate
from spotguard.planning.deadlines import DueStep
from spotguard.planning.invariants import INVARIANTS, Breach, Facts, check
from tests.planning.healthy_world import (
    AGENT,
    COLD,
    COMMITTED,
    COMPLETED,
    DEAD,
    FIRST,
    HEALTHY,
    HOUR,
    LIVE_REPLICA,
    MINUTE,
    NOW,
    PREPARING,
    PROMOTED_REPLICA,
    RECOVERY,
    SECOND,
    SERVING,
    STANDBY,
    THIRD,
    UNWOUND,
    machine,
)


def with_one(row, **changed):
    """The healthy world with one of its rows changed."""
    return _swap(row, replace(row, **changed))


def overdue(step, minutes):
    return DueStep(step, NOW - timedelta(minutes=minutes), WhenLate.ALARM)


def without(row):
    return _swap(row)


def with_more(kind, *rows):
    return replace(HEALTHY, **{kind: (*getattr(HEALTHY, kind), *rows)})


def _swap(row, *instead):
    for kind in ("agents", "grants", "instances", "replicas", "switches", "storage", "caps"):
        rows = getattr(HEALTHY, kind)
        if row in rows:
            at = rows.index(row)
            return replace(HEALTHY, **{kind: (*rows[:at], *instead, *rows[at + 1 :])})
    raise AssertionError(f"not in the healthy world: {row}")


def voluntary_switches(count, hours_apart=1):
    return [
        replace(COMPLETED, switch_id=f"s-{n}", at=NOW - n * hours_apart * HOUR) for n in range(1, count + 1)
    ]


def storage(**changed):
    return with_one(HEALTHY.storage[1], **changed)


def inherited(**of_the_holder):
    """The standby serves, to which a ticket was out."""
    opened = with_one(STANDBY, gate_open=True)
    holder = replace(THIRD, **{"heir": STANDBY.instance_id} | of_the_holder)
    return replace(opened, grants=(FIRST, SECOND, holder))


PLANTED = {
    "one_primary": {
        "two grants are held": with_one(SECOND, status=GrantStatus.HELD),
        "the former holder opened its gate again": with_one(COLD, gate_open=True),
        "the standby opened its gate": with_one(STANDBY, gate_open=True),
        "the heir of a ticket opened its gate before its holder let go": inherited(released_at=None),
        "another one than the heir opened its gate": inherited(released_at=NOW, heir="i-fourth"),
    },
    "the_agent_is_where_its_epoch_is": {
        "the agent missed a grant": with_one(AGENT, epoch=2),
        "the agent claims a grant that never was": with_one(AGENT, epoch=4),
        "the agent names another instance": with_one(AGENT, instance_id="i-first"),
        "an agent with an epoch and no grant at all": replace(HEALTHY, grants=()),
    },
    "every_epoch_ends_by_a_proof": {
        "a ticket was out to another one": with_one(THIRD, ticket_out_to=STANDBY.instance_id),
        "an epoch is missing in the chain": without(SECOND),
        "nobody let go": with_one(SECOND, former_released_at=None),
        "the former holder is not dead": with_one(THIRD, former_died=False),
        "it vanished, says the grant; EC2 still shows it": with_one(
            THIRD, proof=Proof.VANISHED, former_died=False
        ),
        "first, but the third": with_one(THIRD, proof=Proof.FIRST),
        "an epoch was granted twice": with_more("grants", replace(FIRST, instance_id="i-third")),
    },
    "counters_equal_rows": {
        "a replica too many is counted": with_one(AGENT, replica_count=2),
        "a replica is not counted": with_one(AGENT, replica_count=0),
        "an instance too many is counted": with_one(AGENT, instance_count=4),
        "the current replica is another's": with_one(AGENT, current_replica_id="r-promoted"),
        "a replica lives and none is named": with_one(AGENT, current_replica_id=None),
        "the named replica is dead and no other lives": replace(
            HEALTHY,
            agents=(replace(AGENT, replica_count=0),),
            replicas=(replace(LIVE_REPLICA, status=ReplicaStatus.FAILED, is_active=False),),
        ),
        "a terminated replica is still active": with_one(
            LIVE_REPLICA, status=ReplicaStatus.TERMINATED, is_active=True
        ),
        "a promoted replica is still active": with_one(PROMOTED_REPLICA, is_active=True),
    },
    "only_legal_states": {
        "both modes at once": with_one(AGENT, auto_switch_enabled=True),
        "two live manual replicas": replace(
            HEALTHY,
            agents=(replace(AGENT, replica_count=2),),
            replicas=(*HEALTHY.replicas, replace(LIVE_REPLICA, replica_id="r-second")),
        ),
        "two moves are prepared": with_more("switches", replace(PREPARING, switch_id="s-second")),
        "committed without a grant": with_one(COMMITTED, steps=frozenset({Step.DECIDED})),
        "preparing, and opened already": with_one(PREPARING, steps=frozenset({Step.DECIDED, Step.OPENED})),
        "unwound after its grant": with_one(UNWOUND, steps=UNWOUND.steps | {Step.GRANTED}),
    },
    "the_old_survives_until_the_new_is_proven": {
        "we ended the old one before the new one was verified": with_one(
            COMMITTED, steps=COMMITTED.steps | {Step.OLD_ENDED}, old_ended_by_us=True
        ),
        "it is over, and the new one was never verified": with_one(
            COMPLETED, steps=COMPLETED.steps - {Step.VERIFIED}
        ),
        "the old one ended before a grant": with_one(PREPARING, steps=PREPARING.steps | {Step.OLD_ENDED}),
    },
    "a_promoted_replica_was_granted": {
        "promoted by a row update alone": with_one(PROMOTED_REPLICA, instance_held_epoch=False),
        "still a standby after its grant": with_one(LIVE_REPLICA, instance_held_epoch=True),
    },
    "no_orphan": {
        "an instance of ours runs for nobody": with_one(STANDBY, has_role=False),
        "an orphan of five minutes and a second": with_one(
            STANDBY, has_role=False, since=NOW - 5 * MINUTE - timedelta(seconds=1)
        ),
        "an instance of ours and of no agent": with_more(
            "instances", machine("i-lost", agent_id=None, has_role=False)
        ),
        "a snapshot belongs to nothing": storage(suspect_since=NOW - 6 * MINUTE),
    },
    "no_flapping": {
        "four voluntary switches within a day": with_more("switches", *voluntary_switches(4)),
        "two where one was allowed": with_more(
            "switches", *(replace(s, most_a_day=1) for s in voluntary_switches(2))
        ),
    },
    "spend_caps_hold": {
        "a standby was let in above the client's USD/h": with_one(HEALTHY.caps[0], reached=Decimal("1.01")),
        "a launch was let in without a price": with_one(HEALTHY.caps[0], reached=None),
        "a fourth instance where three are allowed": with_one(HEALTHY.caps[1], reached=Decimal(4)),
        "a third launch within the hour where two are": with_one(HEALTHY.caps[2], reached=Decimal(3)),
    },
    "nothing_waits_for_ever": {
        "a move is prepared long past its deadline": with_one(
            PREPARING, deadline_at=NOW - timedelta(minutes=10, seconds=1)
        ),
        "a step before the grant is long past its own": with_one(PREPARING, due=overdue(Step.ENROLLED, 11)),
        "the new one has not opened for eleven minutes more than it may": with_one(
            COMMITTED, due=overdue(Step.VERIFIED, 11)
        ),
    },
}
BREAKS_TWO = {
    "the old one ended before a grant",
    "a promoted replica is still active",
}  # legal states as well

FINE = {
    "nothing at all": Facts(now=NOW),
    "the healthy world": HEALTHY,
    "a stale heartbeat: its gate was open before the grant": with_one(
        COLD, gate_open=True, heard_at=THIRD.granted_at
    ),
    "an open gate never heard of": with_one(COLD, gate_open=True, heard_at=None),
    "a dead machine's last word was an open gate": with_one(DEAD, heard_at=NOW),
    "the heir of a ticket serves, whose holder has let go: its grant is late": inherited(released_at=NOW),
    "a holder whose gate is closed": with_one(SERVING, gate_open=False),
    "a holder that vanished from EC2": with_one(THIRD, proof=Proof.VANISHED),
    "its only volume moved to the new holder": with_one(THIRD, proof=Proof.VOLUME_MOVED, former_died=False),
    "a new agent before its first registration": replace(
        HEALTHY,
        agents=(
            AGENT,
            replace(
                AGENT,
                agent_id="new",
                epoch=0,
                instance_id=None,
                replica_count=0,
                current_replica_id=None,
                instance_count=0,
            ),
        ),
    ),
    "neither mode": with_one(AGENT, manual_replica_enabled=False),
    "the current replica failed and the row names none": replace(
        HEALTHY,
        agents=(replace(AGENT, replica_count=0, current_replica_id=None),),
        replicas=(replace(LIVE_REPLICA, status=ReplicaStatus.FAILED, is_active=False),),
    ),
    "two emergency replicas": replace(
        HEALTHY,
        agents=(replace(AGENT, replica_count=2),),
        replicas=(
            *HEALTHY.replicas,
            replace(LIVE_REPLICA, replica_id="r-second", replica_type=ReplicaType.REBALANCE),
        ),
    ),
    "AWS took the old one before the new one was verified": with_one(
        COMMITTED, steps=COMMITTED.steps | {Step.OLD_ENDED}
    ),
    "the old one died of its notice, the hand-over goes on": with_one(
        RECOVERY, status=SwitchStatus.COMMITTED, steps=RECOVERY.steps - {Step.VERIFIED}
    ),
    "the user's own instance may run for nobody": with_one(COLD, has_role=False, is_ours=False),
    "an orphan of five minutes": with_one(STANDBY, has_role=False, since=NOW - 5 * MINUTE),
    "a dead machine needs nobody": with_one(DEAD, has_role=False),
    "a suspect that was needed after all": storage(referenced=True, suspect_since=NOW - HOUR),
    "three voluntary switches within a day": replace(HEALTHY, switches=tuple(voluntary_switches(3))),
    "four within thirty hours": replace(HEALTHY, switches=tuple(voluntary_switches(4, hours_apart=8))),
    "ten forced switches within a day": with_more(
        "switches", *(replace(RECOVERY, switch_id=f"s-{n}", at=NOW - n * HOUR) for n in range(10))
    ),
    "a person may switch as often as they like": with_more(
        "switches", *(replace(s, trigger=Trigger.MANUAL) for s in voluntary_switches(9))
    ),
    "a move prepared nine minutes past its deadline": with_one(PREPARING, deadline_at=NOW - 9 * MINUTE),
    "a step nine minutes past its deadline": with_one(COMMITTED, due=overdue(Step.OLD_ENDED, 9)),
    "a move without a deadline": with_one(PREPARING, deadline_at=None),
    "a failed move: its person was told": with_one(UNWOUND, status=SwitchStatus.FAILED),
}

BREACHES = [(name, story) for name, stories in PLANTED.items() for story in stories]


def test_every_invariant_has_a_planted_breach():
    assert set(PLANTED) == {invariant.__name__ for invariant in INVARIANTS}
    assert all(invariant.__doc__ for invariant in INVARIANTS)


@pytest.mark.parametrize(("name", "story"), BREACHES, ids=[f"{name}: {story}" for name, story in BREACHES])
def test_a_planted_breach_is_caught_by_its_invariant_and_by_no_other(name, story):
    found = check(PLANTED[name][story])
    also = {"only_legal_states"} if story in BREAKS_TWO else set()
    assert {breach.invariant for breach in found} == {name} | also
    assert all(breach.what for breach in found)


@pytest.mark.parametrize("facts", FINE.values(), ids=FINE)
def test_a_clean_world_is_left_alone(facts):
    assert check(facts) == []


def test_a_breach_names_what_is_broken():
    [breach] = check(with_one(COLD, gate_open=True))
    assert breach == Breach("one_primary", "i-first serves agent web without its epoch")


def test_one_breach_does_not_hide_another():
    both = replace(with_one(AGENT, epoch=9), caps=(replace(HEALTHY.caps[0], reached=Decimal("1.01")),))
    assert {b.invariant for b in check(both)} == {"the_agent_is_where_its_epoch_is", "spend_caps_hold"}


def test_the_order_of_the_rows_decides_nothing():
    for stories in PLANTED.values():
        for facts in stories.values():
            turned = replace(
                facts,
                grants=facts.grants[::-1],
                instances=facts.instances[::-1],
                replicas=facts.replicas[::-1],
                switches=facts.switches[::-1],
            )
            assert {b.invariant for b in check(turned)} == {b.invariant for b in check(facts)}


def test_the_gate_of_another_agents_holder_is_its_own_affair():
    other = machine("i-other", agent_id="db", gate_open=True)
    held = replace(FIRST, agent_id="db", instance_id="i-other", status=GrantStatus.HELD)
    agent = replace(
        AGENT,
        agent_id="db",
        epoch=1,
        instance_id="i-other",
        replica_count=0,
        current_replica_id=None,
        instance_count=1,
    )
    two = replace(
        HEALTHY,
        agents=(AGENT, agent),
        grants=(*HEALTHY.grants, held),
        instances=(*HEALTHY.instances, other),
    )
    assert check(two) == []


def test_the_switches_of_a_forgotten_agent_are_measured_by_the_default():
    stray = [replace(s, agent_id="gone") for s in voluntary_switches(4)]
    assert [b.invariant for b in check(Facts(now=NOW, switches=stray))] == ["no_flapping"]
    assert check(Facts(now=NOW, switches=stray[:3])) == []
