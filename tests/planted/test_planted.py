"""The planted bugs fit the source, and a few that are quickly caught are; the whole of it is `make planted-bugs`."""

import ast

import pytest

from tests.planted import record
from tests.planted.bug import JUDGES, Hunt, Node, edits_by_file, mutated
from tests.planted.catalogue import BUGS
from tests.planted.catching import HuntFailed, try_bug
from tests.planted.copies import PACKAGE, ROOT, copy_with

NAMED_AS_EXAMPLES = {
    "no client token": "no-client-token",
    "token reused across AZs": "one-token-for-every-pool",
    "not-found taken as success": "not-found-is-success",
    "terminate before healthy": "terminate-before-healthy",
    "promote doomed": "promote-the-doomed",
    "silence as death": "silence-as-death",
    "report after self-termination": "it-ends-itself-and-then-reports",
    "identity from the image": "identity-from-the-image",
    "window-based detection": "only-what-happened-lately-is-seen",
    "read-modify-write counters": "a-counter-is-read-and-written-back",
    "tag after launch": "tags-come-after-the-launch",
    "grant while a ticket is out": "grant-while-a-ticket-is-out",
    "half a pass promoted": "half-a-pass-is-promoted",
    "terminate because a replica row is inactive": "an-inactive-replica-row-is-garbage",
}
QUICK = ("half-a-pass-is-promoted", "a-released-epoch-opens-again")


def by_name(name):
    return next(bug for bug in BUGS if bug.name == name)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_text_stands_once_in_its_file_and_the_mutated_file_compiles(bug):
    for file, edits in edits_by_file(bug).items():
        ast.parse(mutated((PACKAGE / file).read_text(), edits))


def test_there_are_at_least_forty_with_names_of_their_own_and_no_judge_is_mutated():
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 40
    assert not [edit.file for bug in BUGS for edit in bug.edits if edit.file.startswith(JUDGES)]


def test_each_bug_that_was_asked_for_by_example_is_planted():
    assert set(NAMED_AS_EXAMPLES.values()) <= {bug.name for bug in BUGS}


def test_what_a_test_is_to_catch_names_a_test_that_there_is():
    for bug in BUGS:
        if isinstance(bug.caught_by, Node):
            file, _, name = bug.caught_by.name.partition("::")
            assert (ROOT / file).exists()
            assert not name or f"def {name}(" in (ROOT / file).read_text()


def test_most_are_for_the_simulation_to_catch():
    assert sum(isinstance(bug.caught_by, Hunt) for bug in BUGS) >= 40


def test_a_copy_has_the_bug_and_the_source_has_not():
    bug = BUGS[0]
    with copy_with(bug) as source:
        edit = bug.edits[0]
        assert edit.new in (source / "spotguard" / edit.file).read_text()
        assert edit.new not in (PACKAGE / edit.file).read_text()


def test_a_text_that_stands_there_twice_is_no_bug():
    with pytest.raises(ValueError, match="2 times"):
        mutated("a = 1\na = 1\n", [BUGS[0].edits[0].__class__("x.py", "a = 1\n", "")])


@pytest.mark.long
@pytest.mark.parametrize("name", QUICK)
def test_a_quick_one_is_caught(name):
    bug = by_name(name)
    try:
        caught = try_bug(bug, 6)
    except HuntFailed as failure:
        pytest.fail(str(failure))
    assert caught.caught, caught.what


def test_the_table_tells_what_the_record_holds():
    assert record.TABLE.read_text() == record.table(BUGS, record.stored())
