"""`spotguard bench decide`: the array program against the plain loop that it is measured beside."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from spotguard.bench.decide import bench, differences, plain_choice, world
from spotguard.cli.main import app
from spotguard.engine import scoring


@pytest.mark.parametrize(("agents", "pools"), [(1, 1), (3, 2), (70, 31), (200, 7)])
@pytest.mark.parametrize("seed", range(5))
def test_the_array_program_and_the_loop_give_the_same_answers(agents, pools, seed):
    market, fleet = world(agents, pools, seed)
    choices = scoring.choose(market, fleet)
    for agent in range(agents):
        assert differences(choices, agent, plain_choice(market, fleet, agent)) == []


def test_they_agree_where_nothing_is_known():
    market, fleet = world(40, 20, seed=1)
    market = replace(
        market,
        usd_per_hour=np.where(np.arange(20) % 3 == 0, np.nan, market.usd_per_hour),
        rate_per_hour=np.where(np.arange(20) % 4 == 0, np.nan, market.rate_per_hour),
    )
    choices = scoring.choose(market, fleet)
    on_demand = np.flatnonzero(fleet.present == scoring.ON_DEMAND)
    known = np.flatnonzero(~np.isnan(market.rate_per_hour + market.usd_per_hour))
    checked = [a for a in range(40) if a in on_demand or fleet.present[a] in known]
    assert len(checked) > 10
    for agent in checked:
        assert differences(choices, agent, plain_choice(market, fleet, agent)) == []


def test_a_difference_is_seen():
    market, fleet = world(5, 9, seed=2)
    choices = scoring.choose(market, fleet)
    answer = plain_choice(market, fleet, 0)
    assert differences(choices, 0, replace(answer, gain_usd=answer.gain_usd + 1e-3)) == ["gain_usd"]


def test_the_answer_does_not_depend_on_the_block():
    market, fleet = world(150, 11, seed=3)
    together = scoring.choose(market, fleet)
    alone = scoring.choose(market, replace(fleet, **{name: of[100:101] for name, of in vars(fleet).items()}))
    for name, found in vars(alone).items():
        np.testing.assert_allclose(found, getattr(together, name)[100:101], rtol=1e-12)


def test_the_measurement_tells_its_baselines():
    found = bench(300, 40, seed=0)
    assert (found["agents"], found["pools"], found["answers_differ"]) == (300, 40, 0)
    assert found["decisions_per_second"] > found["plain_python_per_second"] > 0
    assert 0 < found["memory_bandwidth_share"] < 1
    assert 0 < found["moves_proposed"] < 300


def test_the_command_prints_one_json_object():
    ran = CliRunner().invoke(app, ["bench", "decide", "--agents", "50", "--pools", "10", "--json"])
    assert ran.exit_code == 0, ran.output
    assert {
        "agents", "pools", "decisions_per_second", "plain_python_per_second", "memory_bandwidth_share",
    } <= json.loads(ran.stdout).keys()  # fmt: skip
