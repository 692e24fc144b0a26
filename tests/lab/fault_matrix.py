"""`make fault-matrix`: every point of `tests.lab.faults`, in real processes over the wire.

    python -m tests.lab fault-matrix [--sample N] [--kind K] [--executor E] [--only PART] [--labs N]

Afterwards the same must hold as after a crash; a move may also have been unwound, where the trouble is not one that
passes. The last line is one JSON object {points, reached, failures}. --only and its name replay a failing point.
"""

from itertools import pairwise

from spotguard.domain.switches import PLANNED_STEPS
from spotguard.store.steps import recorded_steps
from tests.lab import verdict
from tests.lab.campaigns import MOVE_SECONDS, campaign, parser
from tests.lab.faults import all_points, grouped
from tests.lab.lab import NotInTime


def tried(lab, points):
    """(the points that were reached, what is wrong afterwards), of one move with all of them."""
    deaths = len(lab.supervisor.deaths)
    first = points[0]
    looks = {point.step: point for point in points if point.is_look}
    before = {step: former for former, step in pairwise(PLANNED_STEPS[first.kind])}
    reached, armed = [], None

    def watched():
        nonlocal armed
        recorded = set(lab.db.read(lambda tx: recorded_steps(tx, switch_id)))
        if armed is not None and not lab.wire.faults.pending():
            reached.append(armed)
            armed = None
        due = [point for step, point in looks.items() if before[step] in recorded]
        if armed is None and due:
            armed = looks.pop(due[0].step)
            lab.wire.faults.plan(armed.fault)
        return lab.is_over(switch_id) and armed is None

    injected = dict(lab.wire.faults.injected)
    for point in points:
        if not point.is_look:
            lab.wire.faults.plan(point.fault)
    try:
        switch_id = lab.moved(first.kind)
        lab.until(watched if looks else lambda: lab.is_over(switch_id), seconds=MOVE_SECONDS)
        lab.wire.faults.clear()
        found = verdict.settled(lab, switch_id, must_complete=all(point.is_passing for point in points))
    except NotInTime as error:
        found = [str(error)]
    lab.wire.faults.clear()
    hit = {key for key, count in lab.wire.faults.injected.items() if count > injected.get(key, 0)}
    reached += [point for point in points if not point.is_look and _key(point.fault) in hit]
    died = lab.supervisor.deaths[deaths:]
    return reached, [*found, *(f"{name} died" for name in died)]


def _key(fault):
    return f"{fault.action}:{fault.kind}:{fault.moment}"


def main(arguments=None):
    asked = parser(__doc__).parse_args(arguments)
    return campaign(tried, all_points(), grouped, asked)
