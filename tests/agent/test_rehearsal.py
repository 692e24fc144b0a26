"""A `drill` command opens the gate of a clone that was launched for that very drill, and of nobody else."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from spotguard.agent.rehearsal import Rehearsal
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.ports.state import StateSeen
from tests.agent.stage import Stage
from tests.agent.test_commands import answered


def test_an_instance_that_was_not_launched_for_it_refuses_whatever_its_role():
    stage = Stage()
    primary = stage.primary()
    order = stage.server.order(primary.instance_id, "drill", {"drill_id": "drill-1"})
    result = answered(stage, order)
    assert result["status"] == "refused"
    assert "not launched for this drill" in result["message"]
    assert stage.register.serving() == [primary.instance_id]
    assert stage.register.rehearsing == set()


class Clone:
    """A clone whose workload is healthy as soon as it has started; `found` before that, and `left` afterwards."""

    def __init__(self, found, left, *, has_probe):
        self.found, self.left, self.runs = found, left, False
        desk = SimpleNamespace(
            primacy=self,
            settings=SimpleNamespace(has_probe=has_probe),
            server_now=lambda now: now,
            state_seen=lambda: self.left if self.runs else self.found,
            state_on_root=lambda: False,
            state_volumes=lambda: ["vol-0aaaaaaaaaaaaaaaa"],
        )
        order = SimpleNamespace(
            command_type=CommandType.DRILL, is_over=lambda _now: False, payload={"drill_id": "d"}
        )
        self.answers = []
        book = SimpleNamespace(
            open=lambda: [] if self.answers else [order], answer=lambda *said: self.answers.append(said[1:])
        )
        self.rehearsal = Rehearsal(desk, book)

    def rehearse(self):
        self.runs = True

    def end_rehearsal(self):
        self.runs = False

    def healthy(self):
        return self.runs

    def answer(self):
        assert self.rehearsal.run(datetime(2026, 1, 5, tzinfo=UTC)) is None
        (said,) = self.answers
        return said


EMPTY, MADE = StateSeen("/srv", "/", is_empty=True), StateSeen("/srv", "/", is_empty=False)
MOUNTED = StateSeen("/srv", "/srv", is_empty=False)


def test_without_a_probe_it_says_that_it_runs_and_nothing_of_a_probe():
    status, message, told = Clone(MOUNTED, MOUNTED, has_probe=False).answer()
    assert status is CommandStatus.COMPLETED
    assert message == "the workload started, and it runs: no probe is configured"
    assert told == {
        "has_probe": False,
        "state_path": "/srv",
        "mounted_at": "/srv",
        "state_on_root": False,
        "state_volumes": ["vol-0aaaaaaaaaaaaaaaa"],
    }


@pytest.mark.parametrize(("left", "because"), [(EMPTY, "nothing is in /srv"), (MADE, "it has made")])
def test_a_workload_that_starts_on_an_empty_state_folder_fails_the_drill_whatever_its_probe_says(
    left, because
):
    status, message = Clone(EMPTY, left, has_probe=True).answer()
    assert status is CommandStatus.FAILED
    assert because in message


def test_a_state_that_the_start_of_the_workload_mounts_is_there():
    status, message, _ = Clone(EMPTY, MOUNTED, has_probe=True).answer()
    assert (status, message) == (CommandStatus.COMPLETED, "the workload started, and its probe succeeded")


def test_without_a_state_path_nothing_of_the_state_is_told():
    status, _, told = Clone(None, None, has_probe=True).answer()
    assert status is CommandStatus.COMPLETED
    assert told["state_path"] is told["mounted_at"] is None
