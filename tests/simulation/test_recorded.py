"""A long run in a file: nothing that was run is lost or counted twice, and code is not mixed."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from spotguard.domain.errors import BadSetting, InvalidInput
from spotguard.simulation.campaign import Outcome
from spotguard.simulation.many import simulate
from spotguard.simulation.recorded import Recorded, revision

HOURS = 0.1


def head(**other):
    known = {"of": "spotguard simulate", "revision": "code", "hours": HOURS, "temper": "ordinary"}
    return json.dumps(known | other) + "\n"


def outcome(seed, *violations):
    return Outcome(seed, violations, Counter(reboot=1), Counter(granted=2), 7, "f00d", 1.5)


def test_outcomes_come_back_as_they_were(tmp_path):
    path = tmp_path / "run.jsonl"
    made = Recorded(path, "code", HOURS)
    for one in (outcome(1), outcome(2, "5 s: two serve")):
        made.add(one)
    again = Recorded(path, "code", HOURS)
    assert again.outcomes == [outcome(1), outcome(2, "5 s: two serve")]
    assert again.missing(range(4)) == [0, 3]
    assert list(again.among(range(2, 9))) == [outcome(2, "5 s: two serve")]


@pytest.mark.long
def test_an_interruption_that_a_finaliser_has_swallowed_is_one_all_the_same():
    """What it left half done fails a little later: no broken promise, and no defect."""
    script = [
        "import os, signal",
        "signal.signal(signal.SIGINT, signal.default_int_handler)",  # ignored where a shell ran the tests with `&`
        "from spotguard.simulation.many import simulate",
        "def heard(outcome):",
        "    try:",
        "        os.kill(os.getpid(), signal.SIGINT)",
        "    except KeyboardInterrupt:",
        "        raise ValueError('a closed database') from None",
        "told = simulate(range(1, 4), 1, heard, hours=0.1)",
        "print(told['interrupted'], told['schedules'])",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True 0"


@pytest.mark.long
def test_what_was_finished_before_an_interruption_is_told():
    def heard(one):
        if one.seed == 3:
            raise KeyboardInterrupt

    told = simulate(range(1, 9), 1, heard, HOURS)
    assert (told["interrupted"], told["schedules"]) == (True, 2)


def test_a_place_where_nothing_can_be_kept_is_told_before_anything_is_run(tmp_path):
    with pytest.raises(BadSetting, match="No such file or directory"):
        simulate(range(1, 3), 1, lambda _: None, HOURS, tmp_path / "absent" / "run.jsonl")


def test_a_line_that_a_kill_has_torn_is_run_again(tmp_path):
    path = tmp_path / "run.jsonl"
    made = Recorded(path, "code", HOURS)
    made.add(outcome(1))
    made.add(outcome(2))
    path.write_bytes(path.read_bytes()[:-9])
    again = Recorded(path, "code", HOURS)
    assert again.missing(range(1, 3)) == [2]
    again.add(outcome(2))
    assert Recorded(path, "code", HOURS).missing(range(1, 3)) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (head(revision="older"), "other code, hours or temper"),
        (head(hours=6), "other code, hours or temper"),
        (head(temper="harsh"), "other code, hours or temper"),
        ('{"my": "diary"}\n', "something else"),
        ("dear diary\n", "line 1 is no JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        ("\xa5\n", "holds no text"),
        (head() + '{"seed": 1}\n', "line 2 is no outcome"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, text, says):
    path = tmp_path / "run.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InvalidInput, match=says):
        Recorded(path, "code", HOURS)
    assert path.read_text(encoding="latin-1") == text


@pytest.mark.long
def test_a_run_goes_on_where_it_was_left(tmp_path):
    path = tmp_path / "run.jsonl"
    heard = []
    first = simulate(range(1, 2), 1, heard.append, HOURS, path)
    both = simulate(range(1, 3), 1, heard.append, HOURS, path)
    assert [one.seed for one in heard] == [1, 1, 2]
    assert (first["schedules"], both["schedules"]) == (1, 2)
    assert both["invariants_checked"] == first["invariants_checked"] + heard[2].invariants_checked
    assert json.loads(path.read_text().split("\n")[0])["revision"] == both["revision"] == revision()
    assert heard[0] == heard[1]
