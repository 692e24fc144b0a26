"""Names and tags that EC2 accepts (EC2 User Guide, "Tag restrictions"; CreateImage, `Name`)."""

from __future__ import annotations

import re

from spotguard.domain.errors import NeedsPerson
from spotguard.ports.cloud import Tags

MOST_TAGS = 50
LONGEST_KEY = 128
LONGEST_VALUE = 256
_IMAGE_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")


def require_legal_tags(tags: Tags) -> None:
    """`NeedsPerson` when a launch with these tags would fail (E37). No tags at all are legal, and visible as such."""
    if len(tags) > MOST_TAGS:
        raise NeedsPerson("TagLimitExceeded", f"{len(tags)} tags")
    for key, value in tags.items():
        if not 1 <= len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE or key.lower().startswith("aws:"):
            raise NeedsPerson("InvalidParameterValue", f"tag {key[:40]!r}")


def require_legal_image_name(name: str) -> None:
    if _IMAGE_NAME.fullmatch(name) is None:
        raise NeedsPerson("InvalidAMIName.Malformed", name[:40])
