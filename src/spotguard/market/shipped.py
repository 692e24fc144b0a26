"""The files of numbers that the engine is shipped with."""

from __future__ import annotations

from importlib.resources import files

from spotguard.engine.hazard import AgeHazard, parse


def age_hazard() -> AgeHazard:
    """The coefficients of the built-in risk, with their provenance in the file itself."""
    return parse(files("spotguard.engine").joinpath("age_hazard.json").read_text(encoding="utf-8"))
