"""What a member takes, in words made from its own bounds: whoever gives another thing is told that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True)
class Wanted:
    """Last in an `Annotated`: what the type before it refuses is answered with the sentence of what it takes.

    `means`: an example of a number, such as "0.3 means 30 %"; of a text, what it is. `unit`: of a number.
    """

    means: str = ""
    unit: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        sentence = "takes " + ": ".join(part for part in (self._taken(inner), self.means) if part)

        def check(value: Any, go_on: ValidatorFunctionWrapHandler) -> Any:
            try:
                return go_on(value)
            except ValidationError as error:
                raise PydanticCustomError("wanted", "{sentence}", {"sentence": sentence}) from error

        return core_schema.no_info_wrap_validator_function(check, inner)

    def _taken(self, schema: Mapping[str, Any]) -> str:
        of_unit = f" of {self.unit}" if self.unit else ""
        match schema["type"]:
            case "bool":
                return "true or false"
            case "int":
                return f"a whole number{of_unit} {_between(schema)}"
            case "decimal":
                places = schema["decimal_places"]
                return f"a number{of_unit} {_between(schema)}, with at most {places} decimals"
            case _:
                return ""


def _between(schema: Mapping[str, Any]) -> str:
    if {"ge", "le"} <= schema.keys():
        return f"from {schema['ge']} to {schema['le']}"
    low = f"of at least {schema['ge']}" if "ge" in schema else f"above {schema['gt']}"
    return f"{low} and below {schema['lt']}"
