"""What storage costs, where somebody waits for something else: nobody's volume or rescue depends on the price list.

The price list of all regions is served by one of them (AWS Price List Query API, endpoints), and a role may not be let
near it.
"""

from __future__ import annotations

from spotguard.coordinator.context import log
from spotguard.domain.errors import CloudError
from spotguard.ports.cloud import Cloud, StorageRates


def rates_if_told(cloud: Cloud) -> StorageRates | None:
    """None while the price list does not answer: a later look tells."""
    try:
        return cloud.storage_rates()
    except CloudError as error:
        log.warning("no storage rates", code=error.code)
        return None
