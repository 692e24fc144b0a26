"""Judges a request by IAM policies as the IAM User Guide says: policy evaluation logic, condition operators, conditions
with several keys or values, resources. What it does not know it refuses to judge, so that no case passes unjudged.
"""

import fnmatch
import re
from dataclasses import dataclass, field

_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_ARN_PARTS = 6


class NotJudged(Exception):
    """The policy holds something that this evaluator does not know."""


@dataclass(frozen=True)
class Request:
    """One authorization: a call needs one for each of its resources. A context value is a string, or a list of them."""

    action: str
    resource: str = "*"
    context: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """`by` names the statement that decided; None: no statement speaks of it, which is a refusal."""

    allowed: bool
    by: str | None = None


JUDGED = []
"""Every (policy, request, decision) of this process, for a second opinion (scripts/iam_second_opinion.py)."""


def decide(policy, request):
    """An explicit denial wins, then an explicit permission, else it is refused."""
    speaking = [statement for statement in _listed(policy["Statement"]) if applies(statement, request)]
    denying = [statement for statement in speaking if statement["Effect"] == "Deny"]
    deciding = next(iter(denying or speaking), None)
    allowed = deciding is not None and deciding["Effect"] == "Allow"
    decision = Decision(allowed, None if deciding is None else deciding.get("Sid"))
    JUDGED.append((policy, request, decision))
    return decision


def applies(statement, request):
    if unknown := set(statement) - _ELEMENTS:
        raise NotJudged(f"elements {sorted(unknown)}")
    if statement["Effect"] not in {"Allow", "Deny"}:
        raise NotJudged(statement["Effect"])
    return (
        _names(statement, "Action", request.action, _action_matches)
        and _names(statement, "Resource", request.resource, _resource_matches)
        and conditions_hold(statement.get("Condition", {}), request.context)
    )


def _names(statement, element, value, matches):
    if element in statement:
        return any(matches(pattern, value) for pattern in _listed(statement[element]))
    return not any(matches(pattern, value) for pattern in _listed(statement[f"Not{element}"]))


def _action_matches(pattern, action):
    """Names of actions are not case-sensitive."""
    return _like(pattern.lower(), action.lower())


def _resource_matches(pattern, resource):
    return pattern == "*" or _arn_like(pattern, resource)


def conditions_hold(conditions, context):
    """Every key of every operator; of the values of one key, one (none, if the operator is negated)."""
    known = {key.lower(): value for key, value in context.items()}  # names of keys are not case-sensitive
    return all(
        _holds(operator, _listed(wanted), known.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator, wanted, found):
    if any("${" in value for value in wanted):
        raise NotJudged(f"policy variables: {wanted}")
    over, _, name = operator.rpartition(":")
    if name == "Null":
        return (found is None) == (_one(wanted) == "true")
    name, if_exists, _ = name.partition("IfExists")
    try:
        negated, matches = _OPERATORS[name]
    except KeyError:
        raise NotJudged(f"operator {operator}") from None

    def passes(value):
        return any(matches(pattern, value) for pattern in wanted) != negated

    if over == "ForAllValues":
        return found is None or all(map(passes, _listed(found)))
    if over == "ForAnyValue":
        return found is not None and any(map(passes, _listed(found)))
    if over:
        raise NotJudged(f"operator {operator}")
    if found is None:
        return bool(if_exists) or negated
    return passes(_one(_listed(found)))


def _like(pattern, value):
    """`*` and `?`; no other sign is one."""
    return re.fullmatch(fnmatch.translate(re.sub(r"([\[\]])", r"[\1]", pattern)), value) is not None


def _arn_like(pattern, value):
    """Part by part, so that `*` does not reach over a colon; but in the last part, which may hold colons itself."""
    patterns, values = (arn.split(":", _ARN_PARTS - 1) for arn in (pattern, value))
    return len(patterns) == len(values) and all(map(_like, patterns, values))


_OPERATORS = {
    "StringEquals": (False, lambda pattern, value: pattern == value),
    "StringNotEquals": (True, lambda pattern, value: pattern == value),
    "StringEqualsIgnoreCase": (False, lambda pattern, value: pattern.lower() == value.lower()),
    "StringLike": (False, _like),
    "StringNotLike": (True, _like),
    "ArnEquals": (False, _arn_like),
    "ArnLike": (False, _arn_like),
    "ArnNotEquals": (True, _arn_like),
    "ArnNotLike": (True, _arn_like),
    "Bool": (False, lambda pattern, value: pattern.lower() == value.lower()),
}


def _listed(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def _one(values):
    if len(values) != 1:
        raise NotJudged(f"one value, not {values}")
    return values[0]
