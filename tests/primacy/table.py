"""Every event at every place with the server up and down: what comes of it, and why it is safe.

`docs/primacy.md` shows the same table; `test_table` walks every cell of it in the simulated world.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from spotguard.domain.switches import Step


class Event(StrEnum):
    """What may happen to an instance. Hang and link loss last ten minutes."""

    NOTICE = "notice"
    REBALANCE = "rebalance"
    DEATH = "silent death"
    HANG = "hang"
    LINK_LOSS = "link loss"
    REBOOT = "reboot"


class Side(StrEnum):
    """`old` is who holds the epoch at first, `new` the standby or the move's target."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True)
class Place:
    """`step`: the newest recorded one of a synced move; None: no move, a standby stands by, its ticket is out."""

    step: Step | None

    @property
    def name(self) -> str:
        return "no move: primary and standby" if self.step is None else f"move, after `{self.step}`"

    def end(self, side: Side) -> str:
        if self.step is None:
            return "primary" if side is Side.OLD else "standby"
        return side.value


@dataclass(frozen=True)
class Outcome:
    """`meanwhile`: who serves after twenty minutes, the server still being away; `at_end`: twenty minutes later.

    None: nobody. `may_lose`: acknowledged records, those since the last pass to the standby.
    """

    name: str
    meanwhile: str | None
    at_end: str | None
    because: str
    may_lose: bool = False


S = Outcome(
    "stays",
    "old",
    "old",
    "The holder serves on under its epoch. Silence is no proof, a recommendation no order, and a reboot keeps the "
    "identity and the epoch on the disk; what happens to a standby changes no grant.",
)
U = Outcome(
    "taken back",
    "old",
    "old",
    "The move is given up before its release: the old one opens its gate again under the same epoch, which nobody "
    "else was granted. Without the server it does not let go, and opens again when the time of the step is over.",
)
L = Outcome(
    "later",
    "old",
    "new",
    "The old one serves with its gate open while the server is away; the move goes on to its end when it is back.",
)
H = Outcome(
    "handed over",
    "new",
    "new",
    "The old one closes its gate, sends the last pass, lets go durably and says so; only then the new one is granted.",
)
G = Outcome(
    "goes on",
    "new",
    "new",
    "The move waits until the fault is over, or does not need the struck one, and ends as it was meant to.",
)
T = Outcome(
    "by ticket",
    "new",
    "new",
    "The old one closes its gate, sends the last pass, lets go durably, and hands the ticket over. While it is out the "
    "server grants its epoch to nobody else; it records the grant when it is back.",
)
N = Outcome(
    "serves already",
    "new",
    "new",
    "The new one holds the epoch. The old one has let go of its own for ever: whatever comes of it, it never opens.",
)
P = Outcome(
    "promoted",
    "new",
    "new",
    "EC2 shows the end of the old one: the standby is promoted. It lacks what came after its last pass; how much is "
    "recorded.",
    may_lose=True,
)
R = Outcome(
    "recovered",
    "other",
    "other",
    "EC2 shows the end of the holder: its volume, which has every write, is attached to a new instance.",
)
E = Outcome(
    "followed",
    "other",
    "other",
    "The new one is the primary by then, or the next to serve: a third instance takes over from who holds the epoch.",
)
W = Outcome(
    "waits",
    None,
    "new",
    "The epoch was granted and the server vanished before the new one heard it (one network round trip): the old one "
    "has let go, so nobody serves until the server is back.",
)
V = Outcome(
    "waits for its volume",
    None,
    "other",
    "The holder ends, and nobody holds a ticket: its volume has every write, and is attached to a new instance when "
    "the server is back.",
)
D = Outcome(
    "waits for the proof",
    None,
    "new",
    "Nobody is there to ask EC2: when the server is back it sees the end of the old one and promotes the standby.",
    may_lose=True,
)

OUTCOMES = (S, U, L, H, G, T, N, P, R, E, W, V, D)

Row = tuple[Outcome, Outcome, Outcome, Outcome, Outcome, Outcome]  # in the order of `Event`

#          notice, rebalance, silent death, hang, link loss, reboot
UP: dict[tuple[Place, Side], Row] = {
    (Place(None), Side.OLD): (H, S, P, S, S, S),
    (Place(None), Side.NEW): (S, S, S, S, S, S),
    (Place(Step.LAUNCHED), Side.OLD): (H, G, R, G, G, G),
    (Place(Step.LAUNCHED), Side.NEW): (U, G, U, G, G, G),
    (Place(Step.ENROLLED), Side.OLD): (H, G, R, G, G, G),
    (Place(Step.ENROLLED), Side.NEW): (U, G, U, G, G, G),
    (Place(Step.GATE_CLOSED), Side.OLD): (H, G, H, U, U, G),
    (Place(Step.GATE_CLOSED), Side.NEW): (E, G, U, G, U, G),
    (Place(Step.GRANTED), Side.OLD): (N, N, N, N, N, N),
    (Place(Step.GRANTED), Side.NEW): (E, G, R, G, G, G),
    (Place(Step.OPENED), Side.OLD): (N, N, N, N, N, N),
    (Place(Step.OPENED), Side.NEW): (E, N, R, N, N, N),
    (Place(Step.VERIFIED), Side.OLD): (N, N, N, N, N, N),
    (Place(Step.VERIFIED), Side.NEW): (E, N, R, N, N, N),
}
DOWN: dict[tuple[Place, Side], Row] = {
    (Place(None), Side.OLD): (T, S, D, S, S, S),
    (Place(None), Side.NEW): (S, S, S, S, S, S),
    (Place(Step.LAUNCHED), Side.OLD): (V, U, V, U, U, U),
    (Place(Step.LAUNCHED), Side.NEW): (U, U, U, U, U, U),
    (Place(Step.ENROLLED), Side.OLD): (V, L, V, L, L, L),
    (Place(Step.ENROLLED), Side.NEW): (U, L, U, L, L, L),
    (Place(Step.GATE_CLOSED), Side.OLD): (V, U, V, U, U, U),
    (Place(Step.GATE_CLOSED), Side.NEW): (U, U, U, U, U, U),
    (Place(Step.GRANTED), Side.OLD): (W, W, W, W, W, W),
    (Place(Step.GRANTED), Side.NEW): (V, W, V, W, W, W),
    (Place(Step.OPENED), Side.OLD): (N, N, N, N, N, N),
    (Place(Step.OPENED), Side.NEW): (V, N, V, N, N, N),
    (Place(Step.VERIFIED), Side.OLD): (N, N, N, N, N, N),
    (Place(Step.VERIFIED), Side.NEW): (V, N, V, N, N, N),
}
PLACES = tuple(dict.fromkeys(place for place, _ in UP))


@dataclass(frozen=True)
class Cell:
    """One of the table."""

    place: Place
    side: Side
    event: Event
    server_up: bool
    outcome: Outcome


def cells(place: Place) -> Iterator[Cell]:
    for server_up, table in ((True, UP), (False, DOWN)):
        for side in Side:
            for event, outcome in zip(Event, table[place, side], strict=True):
                yield Cell(place, side, event, server_up, outcome)


def markdown() -> str:
    """As `docs/primacy.md` has it."""
    lines: list[str] = []
    for title, table in (("The server is up", UP), ("The server is away", DOWN)):
        lines += [f"**{title}**", "", "| Where | Struck | " + " | ".join(Event) + " |", "|---" * 8 + "|"]
        for (place, side), row in table.items():
            told = " | ".join(outcome.name for outcome in row)
            lines.append(f"| {place.name} | {place.end(side)} | {told} |")
        lines.append("")
    lines += ["| Outcome | What happens, and why it is safe |", "|---|---|"]
    lines += [f"| {outcome.name} | {outcome.because} |" for outcome in OUTCOMES]
    return "\n".join(lines)
