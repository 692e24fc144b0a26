"""The lab's EC2: two types in three zones of one region, calm weather, a second where EC2 takes minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotguard.bench.lab.folders import Store
from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.physics import STILL, UNLIMITED, Physics, fixed
from spotguard.cloud.simulated.settings import Settings
from spotguard.domain.pools import Pool
from spotguard.host.clock import SystemClock
from spotguard.market.history import PriceHistory
from spotguard.market.rows import PriceRow

REGION = "us-east-1"
A, B = Pool("m5.large", "us-east-1a"), Pool("m5.large", "us-east-1b")
POOLS = {
    A: "0.040000",
    B: "0.036000",
    Pool("m5.large", "us-east-1c"): "0.031000",
    Pool("m5a.large", "us-east-1a"): "0.030000",
    Pool("m5a.large", "us-east-1b"): "0.033000",
}
ONDEMAND = {(REGION, "m5.large"): Decimal("0.096"), (REGION, "m5a.large"): Decimal("0.085")}
OTHER_TYPE = {"m5.large": "m5a.large", "m5a.large": "m5.large"}

# EC2's own clock has whole seconds: "one second" is half of one on the average
SHORT = Physics(
    pending_seconds=fixed(1),
    boot_seconds=fixed(0),
    terminate_seconds=fixed(1),
    visible_after_seconds=(0, 1),
    volume_seconds=fixed(0),
    detach_seconds=fixed(1),
    delete_seconds=fixed(0),
    snapshot_seconds=fixed(1),
    snapshot_seconds_per_gib=0,
    image_extra_seconds=fixed(0),
    buckets=UNLIMITED,
)


def simulated(store: Store, seed: int, physics: Physics = SHORT) -> SimulatedEc2:
    """An EC2 on the machine's clock whose volumes are folders."""
    since = datetime.now(UTC) - timedelta(days=2)
    rows = [PriceRow(pool, since, Decimal(usd)) for pool, usd in POOLS.items()]
    settings = Settings(region=REGION, physics=physics, climate=STILL, blank=store.blank)
    return SimulatedEc2(SystemClock(), seed, PriceHistory(rows, "lab"), ONDEMAND, settings=settings)
