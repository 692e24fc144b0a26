"""A statement of an IAM policy with its reason, and how a policy is written down.

JSON has no comments: the reason is shown by `spotguard iam policy --explain` and in docs/permissions.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spotguard.domain.errors import InvalidInput

VERSION = "2012-10-17"
MOST_CHARACTERS = 6144
"""Of a customer managed policy, white space not counted (IAM and STS quotas)."""

ALLOW, DENY = "Allow", "Deny"
ANYTHING = "*"

Values = str | tuple[str, ...]
Conditions = Mapping[str, Mapping[str, Values]]  # operator -> key -> values, one of which must hold


@dataclass(frozen=True)
class Statement:
    """What may be done to what, when; `except_for` (NotResource) instead of `resources` only in a denial."""

    sid: str
    because: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = (ANYTHING,)
    conditions: Conditions = field(default_factory=dict)
    effect: str = ALLOW
    except_for: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """As IAM reads it."""
        where = {"NotResource": _one_or_many(self.except_for)} if self.except_for else None
        told: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Action": _one_or_many(self.actions),
            **(where or {"Resource": _one_or_many(self.resources)}),
        }
        if self.conditions:
            told["Condition"] = {
                operator: {key: _one_or_many(values) for key, values in keys.items()}
                for operator, keys in self.conditions.items()
            }
        return told


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    """The policy. `InvalidInput` when IAM would refuse it as too long."""
    told = {"Version": VERSION, "Statement": [statement.told() for statement in statements]}
    if (long := characters(told)) > MOST_CHARACTERS:
        raise InvalidInput(
            f"the policy has {long} characters, IAM takes {MOST_CHARACTERS}: "
            f"name fewer ids, or tag the resources instead of naming them"
        )
    return told


def characters(policy: Mapping[str, Any]) -> int:
    """As IAM counts them: without white space."""
    return len("".join(json.dumps(policy, separators=(",", ":")).split()))


def actions_of(statements: Iterable[Statement]) -> tuple[str, ...]:
    """Everything that is allowed, each once, in order."""
    allowed = (action for s in statements if s.effect == ALLOW for action in s.actions)
    return tuple(dict.fromkeys(allowed))


def _one_or_many(values: Values) -> str | list[str]:
    if isinstance(values, str):
        return values
    return values[0] if len(values) == 1 else list(_each(values))


def _each(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))
