"""Filters of the Describe calls: all must hold, one value of each is enough, `*` and `?` stand for anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.ports.cloud import Tags

Thing = TypeVar("Thing")
Filters = Mapping[str, list[str]]
_PARTS = re.compile(r"\\.|.", re.DOTALL)
_WILD = {"*": ".*", "?": "."}
Reader = Callable[[Any], Iterable[object]]  # the values that a thing has under a filter's name


def filters_of(given: Iterable[Mapping[str, Any]]) -> Filters:
    return {one["Name"]: [str(value) for value in one.get("Values", ())] for one in given}


def passing(
    things: Iterable[Thing],
    filters: Filters,
    readers: Mapping[str, Reader],
    tags_of: Callable[[Thing], Tags],
) -> list[Thing]:
    """The things that pass; `InvalidParameterValue` for a filter that EC2 would not know, or we do not."""
    tests = [_test(name, wanted, readers, tags_of) for name, wanted in filters.items()]
    return [thing for thing in things if all(test(thing) for test in tests)]


def _test(
    name: str, wanted: list[str], readers: Mapping[str, Reader], tags_of: Callable[[Thing], Tags]
) -> Callable[[Thing], bool]:
    pattern = re.compile("|".join(_pattern(value) for value in wanted) or r"(?!)", re.DOTALL)

    def test(thing: Thing) -> bool:
        return any(pattern.fullmatch(_text(value)) for value in read(thing))

    read: Callable[[Thing], Iterable[object]]
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        read = lambda thing: [tags_of(thing)[key]] if key in tags_of(thing) else []  # noqa: E731 - one of three
    elif name == "tag-key":
        read = tags_of
    elif name in readers:
        read = readers[name]
    else:
        raise WireError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return test


def _pattern(value: str) -> str:
    """`*` and `?` as EC2 reads them; after a backslash each means itself."""
    return "".join(_WILD.get(part) or re.escape(part.removeprefix("\\")) for part in _PARTS.findall(value))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
