"""`make crash-matrix`: every point of `tests.lab.points`, in real processes over the wire.

    python -m tests.lab crash-matrix [--sample N] [--kind K] [--executor E] [--only PART] [--together N] [--labs N]

With --together several points, far apart in the steps, share a move; where something is wrong each is tried alone.
The last line is one JSON object {points, reached, failures}. A failing point is replayed with --only and its name.
"""

import contextlib
from functools import partial
from itertools import product

from spotguard.domain.agents import Executor
from spotguard.domain.switches import MoveKind
from tests.lab import verdict
from tests.lab.campaigns import MOVE_SECONDS, campaign, parser
from tests.lab.lab import NotInTime
from tests.lab.points import all_points

NOTICE_SECONDS = 5.0


def tried(lab, points):
    """(the points that were reached, what is wrong afterwards), of one move with all of them."""
    peril, deaths = lab.place.peril, len(lab.supervisor.deaths)
    peril.arm({(point.label, point.moment) for point in points})
    try:
        switch_id = lab.moved(points[0].kind)
        lab.until(lambda: lab.is_over(switch_id), seconds=MOVE_SECONDS)
        found = verdict.settled(lab, switch_id)
    except NotInTime as error:
        found = [str(error)]
    fired = peril.disarm()
    reached = [point for point in points if (point.label, point.moment) in fired]
    died = _died(lab, deaths, len(fired))
    if len(died) != len(fired):
        found.append(f"{len(fired)} points were reached, and there died: {', '.join(died) or 'nobody'}")
    return reached, found


def _died(lab, before, expected):
    """Who died since, once the supervisor has seen it: the last effect of a move is just before its end."""
    with contextlib.suppress(NotInTime):  # then fewer have died
        lab.until(lambda: len(lab.supervisor.deaths) - before >= expected, seconds=NOTICE_SECONDS)
    return lab.supervisor.deaths[before:]


def grouped(points, together):
    """Groups of one kind and executor, whose members are far apart in the order of the steps."""
    groups = []
    for executor, kind in product(Executor, MoveKind):
        same = [point for point in points if (point.executor, point.kind) == (executor, kind)]
        count = -(-len(same) // together)
        groups += [same[first::count] for first in range(count)]
    return groups


def main(arguments=None):
    wanted = parser(__doc__)
    wanted.add_argument("--together", type=int, default=1, help="so many points in one move")
    asked = wanted.parse_args(arguments)
    return campaign(tried, all_points(), partial(grouped, together=asked.together), asked)
