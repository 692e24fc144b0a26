"""Everything that may be set about a simulated EC2, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from spotguard.cloud.simulated.content import BlankVolume, Nothing
from spotguard.cloud.simulated.physics import Climate, Physics, Quotas


@dataclass(frozen=True)
class Settings:
    """What may be set about the world; `region` is needed when the history holds several."""

    region: str | None = None
    physics: Physics = field(default_factory=Physics)
    climate: Climate = field(default_factory=Climate)
    quotas: Quotas = field(default_factory=Quotas)
    blank: BlankVolume = Nothing  # makes the content of an empty volume


DEFAULTS = Settings()
