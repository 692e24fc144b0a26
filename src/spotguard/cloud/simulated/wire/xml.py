"""Answers as EC2's XML, by the service model's own shapes.

Moto's serializer looks every possible name up in whatever object it is given, which takes 2 ms an instance. This takes
plain mappings with exactly the model's names, and fails on any other: a misspelt field is never left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from moto.core.responses import ActionContext, ActionResult

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Told(ActionResult):
    """An answer of ours: a mapping in the shape of the call's output."""

    def execute_result(self, context: ActionContext) -> tuple[int, dict[str, str], str]:
        model = context.operation_model
        parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{model.name}Response xmlns="{NAMESPACE}">']
        parts.append(f"<requestId>{uuid4()}</requestId>")
        if model.output_shape is not None:
            _structure(model.output_shape, self.result, parts)
        parts.append(f"</{model.name}Response>")
        return 200, {}, "".join(parts)


def _structure(shape: Any, told: Any, parts: list[str]) -> None:
    members = shape.members
    for name, value in told.items():
        if value is not None:
            member = members[name]
            _element(member, member.serialization.get("name", name), value, parts)


def _element(shape: Any, tag: str, value: Any, parts: list[str]) -> None:
    parts.append(f"<{tag}>")
    if isinstance(value, Mapping):
        _structure(shape, value, parts)
    elif isinstance(value, list | tuple):
        item = shape.member.serialization.get("name", "member")
        for one in value:
            _element(shape.member, item, one, parts)
    else:
        parts.append(_text(value))
    parts.append(f"</{tag}>")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return escape(str(value))
