"""What Describe calls are asked with: filters, never id lists, since one unknown id would fail the whole call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from spotguard.ports.cloud import Tags

MOST_VALUES = 200  # of one filter (EC2 API Reference, Filter)
_WILD = re.compile(r"([\\*?])")
View = TypeVar("View")


def exactly(value: str) -> str:
    """A filter value is a pattern: `*` and `?` are escaped."""
    return _WILD.sub(r"\\\1", value)


def filter_of(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": [exactly(value) for value in values]}


def tag_filters(tags: Tags | None) -> list[dict[str, Any]]:
    return [filter_of(f"tag:{key}", value) for key, value in (tags or {}).items()]


def batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids, once each, in filters of legal size; one empty batch when there are none."""
    rest = iter(dict.fromkeys(ids))
    batch = list(islice(rest, MOST_VALUES))
    yield batch
    while batch := list(islice(rest, MOST_VALUES)):
        yield batch


def by_filters(
    ids: Iterable[str], name: str, others: Sequence[Mapping[str, Any]]
) -> Iterator[list[Mapping[str, Any]]]:
    """The filter lists of the calls that a look needs."""
    for batch in batches(ids):
        yield [*([filter_of(name, *batch)] if batch else ()), *others]


def once_each(views: Iterable[View], key: Callable[[View], str]) -> tuple[View, ...]:
    """Pages may overlap: the last word on each id, in the order of its first."""
    return tuple({key(view): view for view in views}.values())


def tag_specifications(tags: Tags, *kinds: str) -> list[dict[str, Any]]:
    """Tags for everything that the call makes (invariant 6). Without tags there is nothing to specify."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": listed} for kind in kinds] if listed else []


def tags_of(shown: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in shown.get("Tags", ())}
