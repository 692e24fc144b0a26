"""Each life is one table: every pair of states is walked, and docs show the same diagram."""

from itertools import product
from pathlib import Path

import pytest

from spotguard.domain.agents import AGENT_LIFE
from spotguard.domain.commands import COMMAND_LIFE, OPEN_COMMAND
from spotguard.domain.drills import DRILL_LIFE, OPEN_DRILL
from spotguard.domain.epochs import GRANT_LIFE
from spotguard.domain.errors import IllegalMove
from spotguard.domain.instances import INSTANCE_LIFE, InstanceState, Mode, is_proof_of_death
from spotguard.domain.models import MODEL_LIFE
from spotguard.domain.probes import OPEN_PROBE, PROBE_LIFE
from spotguard.domain.replicas import LIVE_REPLICA, REPLICA_LIFE
from spotguard.domain.salvages import OPEN_SALVAGE, SALVAGE_LIFE
from spotguard.domain.switches import (
    AFTER_GRANT,
    OPEN_SWITCH,
    PLANNED_STEPS,
    RECOVERY_STEPS,
    STEP_OF_TIMING,
    SWITCH_LIFE,
    Step,
)
from spotguard.domain.tickets import TICKET_LIFE

LIVES = [
    AGENT_LIFE,
    COMMAND_LIFE,
    DRILL_LIFE,
    GRANT_LIFE,
    INSTANCE_LIFE,
    MODEL_LIFE,
    PROBE_LIFE,
    REPLICA_LIFE,
    SALVAGE_LIFE,
    SWITCH_LIFE,
    TICKET_LIFE,
]


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_every_pair_is_either_a_move_or_refused(life):
    for seen, wanted in product(life.moves, repeat=2):
        if life.may(seen, wanted):
            life.require(seen, wanted)
            assert seen in life.origins(wanted)
        else:
            with pytest.raises(IllegalMove):
                life.require(seen, wanted)
            assert seen not in life.origins(wanted)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_the_table_names_every_state_and_only_states(life):
    states = set(type(next(iter(life.moves))))
    assert set(life.moves) == states
    assert {after for nexts in life.moves.values() for after in nexts} <= states


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_every_state_can_reach_an_end(life):
    for start in life.moves:
        reached, open_ = {start}, [start]
        while open_:
            for after in life.moves[open_.pop()]:
                if after not in reached:
                    reached.add(after)
                    open_.append(after)
        assert reached & set(life.ends())


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_the_documented_diagram_is_the_table(life):
    document = (Path(__file__).parents[2] / "docs" / "lives.md").read_text()
    assert life.mermaid() in document


@pytest.mark.parametrize(
    ("life", "open_states"),
    [
        (COMMAND_LIFE, OPEN_COMMAND),
        (REPLICA_LIFE, LIVE_REPLICA),
        (SWITCH_LIFE, OPEN_SWITCH),
        (DRILL_LIFE, OPEN_DRILL),
        (SALVAGE_LIFE, OPEN_SALVAGE),
        (PROBE_LIFE, OPEN_PROBE),
    ],
)
def test_open_means_not_at_an_end(life, open_states):
    assert open_states == set(life.moves) - set(life.ends())


@pytest.mark.parametrize("steps", [*PLANNED_STEPS.values(), *RECOVERY_STEPS.values()])
def test_every_move_begins_decided_and_ends_pruned_and_grants_once(steps):
    assert steps[0] is Step.DECIDED
    assert steps[-1] is Step.PRUNED
    assert steps.count(Step.GRANTED) == 1
    assert set(steps[steps.index(Step.GRANTED) :]) == AFTER_GRANT


@pytest.mark.parametrize("steps", PLANNED_STEPS.values())
def test_a_planned_move_closes_the_gate_then_releases_then_grants(steps):
    assert steps.index(Step.GATE_CLOSED) < steps.index(Step.RELEASED) < steps.index(Step.GRANTED)


def test_every_step_travels_under_one_timing_name():
    assert set(STEP_OF_TIMING.values()) == set(Step)
    assert {
        "initiated_at",
        "ami_created_at",
        "instance_launched_at",
        "instance_ready_at",
        "old_terminated_at",
    } <= set(STEP_OF_TIMING)


def test_only_terminated_or_stopped_on_demand_proves_death():
    proofs = {
        (state, mode, hibernates)
        for state, mode, hibernates in product(InstanceState, Mode, (True, False, None))
        if is_proof_of_death(state, mode, hibernates=hibernates)
    }
    terminated = set(product([InstanceState.TERMINATED], Mode, (True, False, None)))
    assert proofs == {*terminated, (InstanceState.STOPPED, Mode.ONDEMAND, False)}
