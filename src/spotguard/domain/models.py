"""Learned models: what may be done with one. A model is data; it judges risks and never acts (ruling B14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from spotguard.domain.errors import InvalidInput
from spotguard.domain.life import Life


class ModelState(StrEnum):
    """Where a registered model is in its life."""

    REGISTERED = "registered"
    SHADOW = "shadow"  # decides, is compared, does nothing
    ACTIVE = "active"  # its risks are the ones by which is decided
    RETIRED = "retired"
    REJECTED = "rejected"  # its file is not the one that was registered, or no model of this release


ON_DUTY = frozenset({ModelState.SHADOW, ModelState.ACTIVE})
"""At most one model of the installation in each."""

STALE_DAYS = 90  # from its registration on: spot markets of a quarter ago are other markets

MODEL_LIFE = Life(
    "model",
    {
        ModelState.REGISTERED: frozenset({ModelState.SHADOW, ModelState.RETIRED, ModelState.REJECTED}),
        ModelState.SHADOW: frozenset({ModelState.ACTIVE, ModelState.RETIRED, ModelState.REJECTED}),
        # a broken one is not rejected by itself: until a person retires it nobody moves of his own accord
        ModelState.ACTIVE: frozenset({ModelState.RETIRED}),
        # the former one may come back, by the same way
        ModelState.RETIRED: frozenset({ModelState.SHADOW, ModelState.REJECTED}),
        ModelState.REJECTED: frozenset(),
    },
)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,46}[a-z0-9])?")
_LABEL = re.compile(r"(?P<name>[^@]*)(?:@(?P<version>[1-9]\d{0,8}))?")


@dataclass(frozen=True)
class ModelName:
    """`NAME` or `NAME@VERSION`; without a version: the newest of that name that may do what is asked."""

    name: str
    version: int | None


def label(name: str, version: int) -> str:
    """How a model is called everywhere."""
    return f"{name}@{version}"


def checked_name(text: str) -> str:
    """`InvalidInput` for what cannot be a model's name."""
    if not _NAME.fullmatch(text):
        raise InvalidInput(
            f"not a name for a model: {text[:60]!r}; up to 48 of a-z, 0-9, dot and hyphen, such as gpu-storms"
        )
    return text


def parse_name(text: str) -> ModelName:
    """`InvalidInput` for neither `NAME` nor `NAME@VERSION`."""
    found = _LABEL.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"not a model: {text[:60]!r}; NAME or NAME@VERSION, as `spotguard model list` shows"
        )
    version = found["version"]
    return ModelName(checked_name(found["name"]), None if version is None else int(version))
