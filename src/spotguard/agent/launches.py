"""The agent's record of intentions, on its disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from spotguard.agent.files import Document
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import ClientToken
from spotguard.ports.checked_lines import Damaged
from spotguard.ports.disk import Disk
from spotguard.ports.intentions import Intention, Outcome

MOST_REMEMBERED = 200


class DiskIntentions:
    """Implements `execution.intentions.Intentions`. Damage is not absence: it stops a launch, never doubles one."""

    NAME = "intentions"

    def __init__(self, disk: Disk) -> None:
        self._document = Document(disk, self.NAME)

    def of(self, seed: str) -> Sequence[Intention]:
        return [intention for intention in self._all() if intention.seed == seed]

    def open(self, intention: Intention) -> None:
        known = self._all()
        if all(intention.token != other.token for other in known):
            self._document.write([*known, intention][-MOST_REMEMBERED:])

    def close(self, token: ClientToken, outcome: Outcome) -> None:
        self._document.write(
            [
                replace(i, outcome=outcome) if i.token == token and i.outcome is None else i
                for i in self._all()
            ]
        )

    def _all(self) -> list[Intention]:
        try:
            stored = self._document.read()
        except Damaged as error:
            raise NeedsPerson("DamagedJournal", f"the agent's record of launches: {error}") from error
        return [] if stored is None else msgspec.convert(stored, list[Intention], strict=False)
