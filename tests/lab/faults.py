"""Every point of the fault matrix: each error that `design` names, and answers that are late or lost, at each call.

Two sorts of calls: those that change something belong to their step by what they do; looks happen all the time, and are
disturbed from the moment on in which the step before has been recorded.
"""

from dataclasses import dataclass

from spotguard.cloud.aws.errors import by_code
from spotguard.cloud.simulated.wire.faults import Fault, FaultKind, Moment
from spotguard.domain.agents import Executor
from spotguard.domain.errors import Doubtful, NotVisible, Throttled
from spotguard.domain.switches import PLANNED_STEPS, MoveKind, Step

LATE_SECONDS = 2.0

# The facts about EC2 that bind the design, in their order; InternalError stands for every 5xx, UnauthorizedOperation
# for every refusal that a person has to mend.
CODES = (
    "InvalidInstanceID.NotFound",
    "IdempotentParameterMismatch",
    "IdempotentInstanceTerminated",
    "InsufficientInstanceCapacity",
    "UnfulfillableCapacity",
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "RequestLimitExceeded",
    "InstanceLimitExceeded",
    "Unsupported",
    "InsufficientFreeAddressesInSubnet",
    "SnapshotCreationPerVolumeRateExceeded",
    "UnsupportedOperation",
    "UnauthorizedOperation",
    "InternalError",
)
NEVER, LOST, LATE = "no answer, nothing done", "answer lost, done", "answer late, done"
TROUBLES = (*CODES, NEVER, LOST, LATE)

CALLS: dict[Step, tuple[str, ...]] = {
    Step.LAUNCHED: ("RunInstances",),
    Step.IMAGED: ("CreateImage",),
    Step.VOLUMES_MOVED: ("DetachVolume", "AttachVolume"),
    Step.OLD_ENDED: ("TerminateInstances",),
    Step.PRUNED: ("DeleteVolume",),
}
LOOK = "DescribeInstances"
_PATIENT = (Throttled, Doubtful, NotVisible)


@dataclass(frozen=True)
class FaultPoint:
    """One trouble at one call of one step."""

    kind: MoveKind
    executor: Executor
    step: Step
    action: str
    trouble: str

    @property
    def name(self):
        return f"{self.kind}/{self.executor}/{self.step}/{self.action}/{self.trouble}"

    @property
    def is_look(self):
        return self.action == LOOK

    @property
    def is_passing(self):
        """The same call later is the answer to it: the move goes on."""
        return self.trouble not in CODES or isinstance(by_code(self.trouble), _PATIENT)

    @property
    def fault(self):
        match self.trouble:
            case _ if self.trouble in CODES:
                status = 500 if self.trouble == "InternalError" else None
                return Fault(self.action, FaultKind.ERROR, code=self.trouble, status=status)
            case _ if self.trouble == NEVER:
                return Fault(self.action, FaultKind.CUT)
            case _ if self.trouble == LOST:
                return Fault(self.action, FaultKind.CUT, Moment.AFTER)
            case _:
                return Fault(self.action, FaultKind.DELAY, Moment.AFTER, seconds=LATE_SECONDS)


def all_points():
    """Calls that change something, then looks; of each kind and executor."""
    places = [
        (kind, executor, step, action)
        for executor in Executor
        for kind, steps in PLANNED_STEPS.items()
        for step in steps
        for action in (*CALLS.get(step, ()), LOOK)
        if step is not Step.DECIDED
    ]
    return [FaultPoint(*place, trouble) for place in places for trouble in TROUBLES]


def grouped(points):
    """Together in one move: looks with one trouble at all steps; one passing trouble at all calls; the others alone."""
    groups = {}
    for point in points:
        alone = () if point.is_look or point.is_passing else (point.step, point.action)
        key = (point.kind, point.executor, point.is_look, point.trouble, alone)
        groups.setdefault(key, []).append(point)
    return list(groups.values())
