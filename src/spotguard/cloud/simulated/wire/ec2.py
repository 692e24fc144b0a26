"""EC2's API: every call that the simulator answers, over moto's for the rest."""

from __future__ import annotations

from typing import Any

from moto.core.request import Request

from spotguard.cloud.simulated.wire.addresses import AddressAnswers
from spotguard.cloud.simulated.wire.attributes import AttributeAnswers
from spotguard.cloud.simulated.wire.copies import CopyAnswers
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.fleets import FleetAnswers
from spotguard.cloud.simulated.wire.market import MarketAnswers
from spotguard.cloud.simulated.wire.tags import TagAnswers
from spotguard.cloud.simulated.wire.volumes import VolumeAnswers


class Ec2OnTheWire(
    FleetAnswers, AttributeAnswers, VolumeAnswers, CopyAnswers, MarketAnswers, TagAnswers, AddressAnswers
):
    """One request to EC2."""

    def answer(self, request: Request) -> tuple[int, dict[str, str], str | bytes]:
        """Status, headers, body; `CloudError` for what EC2 refuses."""
        answered: Any = self._dispatch(request)
        return answered[0], answered[1], answered[2]

    def call_action(self) -> Any:
        """Requests are signed for a region: another region's endpoint is another account to us."""
        if self.region != self.ec2.region:
            raise WireError("AuthFailure", f"this endpoint is {self.ec2.region}'s, not {self.region}'s")
        return super().call_action()
