"""Every point of the crash matrix: the step table of `domain.switches`, and the effects of each step.

A point is one effect of one step of one kind of move with one executor, and a side of it:
`volume/agent/volumes_moved/ec2 attach_volume/before`. Nothing here says who makes an effect: `tests.lab.effects` names
it wherever it happens.
"""

from dataclasses import dataclass

from spotguard.domain.agents import Executor
from spotguard.domain.errors import InvalidInput
from spotguard.domain.switches import PLANNED_STEPS, MoveKind, Step
from tests.lab.peril import Moment

# What the holder does in every step of its own: on its disk, in its outbox, to the server, in the database.
TOLD = ("journal step", "journal report", "send report", "commit", "acknowledge report")
ANSWER = ("journal result", "journal answer", "send result", "acknowledge result")
REPORT = ("journal report", "send report", "commit", "acknowledge report")

BY_ANYBODY: dict[Step, tuple[str, ...]] = {
    Step.DECIDED: ("commit", "journal command", "journal move", "journal step"),
    Step.ENROLLED: ("send registration", "commit", "journal enrolment", "journal step"),
    Step.SYNCED: ("push", *TOLD),
    Step.GATE_CLOSED: ("journal pause", "gate close", "journal flush", *TOLD),
    Step.DELTA_SENT: ("push", *TOLD),
    Step.RELEASED: ("journal release", *TOLD, *ANSWER),
    Step.GRANTED: ("commit",),
    Step.OPENED: ("journal command", "journal epoch", "gate open", *REPORT, *ANSWER),
    Step.TRAFFIC_MOVED: ("commit",),  # no route is configured in the lab
    Step.VERIFIED: ("commit",),
    Step.PRUNED: ("ec2 delete_volume", "commit"),
}

BY_EXECUTOR: dict[Executor, dict[Step, tuple[str, ...]]] = {
    Executor.AGENT: {
        Step.LAUNCHED: ("journal intention", "ec2 run_instance", "journal outcome", *TOLD),
        Step.IMAGED: ("ec2 create_image", "journal image", *TOLD),
        Step.VOLUMES_MOVED: ("journal volumes", "ec2 detach_volume", "ec2 attach_volume", *TOLD),
        Step.OLD_ENDED: ("journal command", "ec2 terminate_instance", *REPORT, *ANSWER),
    },
    Executor.SERVER: {
        Step.LAUNCHED: ("commit intention", "ec2 run_instance", "commit outcome", "commit", "journal step"),
        Step.IMAGED: ("ec2 create_image", "commit", "journal step"),
        Step.VOLUMES_MOVED: ("ec2 detach_volume", "ec2 attach_volume", "commit", "journal step"),
        Step.OLD_ENDED: ("ec2 terminate_instance", "commit"),
    },
}


@dataclass(frozen=True)
class Point:
    """Where a process dies."""

    kind: MoveKind
    executor: Executor
    step: Step
    effect: str
    moment: Moment

    @property
    def name(self):
        return f"{self.kind}/{self.executor}/{self.step}/{self.effect}/{self.moment}"

    @property
    def label(self):
        return f"{self.step}/{self.effect}"


def effects_of(step, executor):
    """In the order in which they happen; a step without an entry would be a hole in the matrix."""
    own = BY_EXECUTOR[executor]
    if step not in own and step not in BY_ANYBODY:
        raise InvalidInput(f"no effects are listed for {step}")
    return own.get(step) or BY_ANYBODY[step]


def all_points():
    return [
        Point(kind, executor, step, effect, moment)
        for executor in Executor
        for kind, steps in PLANNED_STEPS.items()
        for step in steps
        for effect in effects_of(step, executor)
        for moment in Moment
    ]
