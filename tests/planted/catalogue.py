"""Every planted bug, in the order in which the table shows them."""

from tests.planted import of_agents, of_coordination, of_edges, of_endings, of_launches, of_moves, of_primacy
from tests.planted.bug import Bug

BUGS: tuple[Bug, ...] = (
    *of_primacy.BUGS,
    *of_moves.BUGS,
    *of_launches.BUGS,
    *of_endings.BUGS,
    *of_coordination.BUGS,
    *of_agents.BUGS,
    *of_edges.BUGS,
)
