"""Which limits a role's policy can take up: one that it would ignore is refused, since who named it counts on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from spotguard.domain.errors import InvalidInput
from spotguard.planning.permissions.roles import Role
from spotguard.planning.permissions.traffic import Traffic

_LAUNCHERS = frozenset({Role.OPERATE, Role.AGENT})
_BY_ROLE: Mapping[str, Collection[Role]] = {
    "roles": _LAUNCHERS,
    "images": _LAUNCHERS,
    "subnets": frozenset({*_LAUNCHERS, Role.DRILL}),
    "security_groups": _LAUNCHERS,
    "key_pairs": _LAUNCHERS,
    "instance_types": frozenset({*_LAUNCHERS, Role.DRILL}),
    "require_imdsv2": frozenset({*_LAUNCHERS, Role.DRILL}),  # of a drill it holds in any case
    "client": frozenset({*_LAUNCHERS, Role.DRILL}),
    "quarantine_group": frozenset({Role.DRILL}),
}
_BY_DRIVER: Mapping[str, Traffic] = {
    "target_groups": Traffic.TARGET_GROUP,
    "hosted_zones": Traffic.DNS,
    "records": Traffic.DNS,
}


def require_used(role: Role, drivers: Collection[Traffic], named: Iterable[str]) -> None:
    """`named`: the fields of the scope that were told. `InvalidInput` for one that this policy would not hold."""
    for field in named:
        words = field.replace("_", " ")
        if role not in _BY_ROLE.get(field, tuple(Role)):
            raise InvalidInput(f"{words}: the role {role} is not limited by them")
        driver = _BY_DRIVER.get(field)
        if driver is not None and driver not in drivers:
            raise InvalidInput(f"{words}: they belong to --traffic {driver}, which was not asked for")
