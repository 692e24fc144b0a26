"""What the library finds wrong in a request, in words that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Told = Mapping[str, Any]

_FIXED = {
    "missing": "is needed and was not given",
    "extra_forbidden": "there is nothing of this name here: see how it is spelled",
    "bool_type": "takes true or false",
    "bool_parsing": "takes true or false",
    "int_type": "takes a whole number",
    "int_from_float": "takes a whole number",
    "int_parsing": "takes a whole number",
    "decimal_type": "takes a number",
    "decimal_parsing": "takes a number",
    "finite_number": "takes a number",
    "string_type": "takes a text",
    "list_type": 'takes a JSON list, such as ["…", "…"]',
    "dict_type": "takes a JSON object",
    "model_type": "takes a JSON object",
    "model_attributes_type": "takes a JSON object",
}
_BY_BOUND: Mapping[str, Callable[[Told], str]] = {
    "greater_than_equal": lambda of: f"takes {of['ge']} at the least",
    "greater_than": lambda of: f"takes more than {of['gt']}",
    "less_than_equal": lambda of: f"takes {of['le']} at the most",
    "less_than": lambda of: f"takes less than {of['lt']}",
    "too_long": lambda of: f"takes {of['max_length']} at the most, not {of['actual_length']}",
    "string_too_long": lambda of: f"takes {of['max_length']} characters at the most",
    "string_too_short": lambda of: f"takes {of['min_length']} characters at the least",
    "literal_error": lambda of: f"takes one of {of['expected']}",
    "enum": lambda of: f"takes one of {of['expected']}",
    "union_tag_not_found": lambda of: f"takes an object whose {of['discriminator']} says which kind it is",
    "union_tag_invalid": lambda of: f"takes, as its {of['discriminator']}, one of {of['expected_tags']}",
}


def sentence_of(error: Told) -> str:
    """For one error of a `RequestValidationError`; the library's own words for what nobody has met yet."""
    kind = str(error["type"])
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _BY_BOUND:
        return _BY_BOUND[kind](error["ctx"])
    return str(error["msg"])
