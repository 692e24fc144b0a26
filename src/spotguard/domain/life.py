"""A life: the states a thing may have and the moves between them, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from spotguard.domain.errors import IllegalMove

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True)
class Life(Generic[S]):
    """`moves[a]` holds every state that may follow `a`; a state without an entry is an end."""

    name: str
    moves: Mapping[S, frozenset[S]]

    def may(self, seen: S, wanted: S) -> bool:
        return wanted in self.moves.get(seen, frozenset())

    def require(self, seen: S, wanted: S) -> None:
        if not self.may(seen, wanted):
            raise IllegalMove(f"a {self.name} that is {seen} cannot become {wanted}")

    def origins(self, wanted: S) -> tuple[S, ...]:
        """The states from which `wanted` may follow: the WHERE clause of a conditional move."""
        return tuple(state for state, nexts in self.moves.items() if wanted in nexts)

    def is_end(self, state: S) -> bool:
        return not self.moves.get(state)

    def ends(self) -> tuple[S, ...]:
        return tuple(state for state in self.moves if self.is_end(state))

    def mermaid(self) -> str:
        """The diagram of docs/architecture.md; a test holds the two equal."""
        lines = ["stateDiagram-v2"]
        for state, nexts in self.moves.items():
            lines += [f"    {_label(state)} --> {_label(after)}" for after in sorted(nexts)]
            if not nexts:
                lines.append(f"    {_label(state)} --> [*]")
        return "\n".join(lines)


def _label(state: StrEnum) -> str:
    return state.value.replace("-", "_")
