"""A scene for stories about the simulated EC2: a clock that only the story moves, three zones, a few prices."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.physics import STILL, UNLIMITED, Physics, fixed
from spotguard.cloud.simulated.settings import Settings
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.domain.ids import ClientToken, ImageId, InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.host.clock import BOOT
from spotguard.market.history import PriceHistory
from spotguard.market.rows import PriceRow
from spotguard.ports.cloud import BlockDevice, InstanceView, LaunchRequest, Tags

START = datetime(2026, 1, 5, tzinfo=UTC)
A, B, C = (Pool("m5.large", f"us-east-1{letter}") for letter in "abc")
OTHER_TYPE = Pool("c5.large", "us-east-1a")
BIG = Pool("m5.24xlarge", "us-east-1a")
TAGS = {"spotguard:managed": "demo"}
ONDEMAND = {("us-east-1", "m5.large"): Decimal("0.096"), ("us-east-1", "c5.large"): Decimal("0.085")}

# Durations without chance; nothing is throttled and everything is visible at once, unless a story wants it otherwise.
EXACT = Physics(
    pending_seconds=fixed(10),
    boot_seconds=fixed(60),
    reboot_seconds=fixed(30),
    stop_seconds=fixed(20),
    terminate_seconds=fixed(30),
    visible_after_seconds=fixed(0),
    volume_seconds=fixed(2),
    detach_seconds=fixed(5),
    snapshot_seconds=fixed(60),
    snapshot_seconds_per_gib=0,
    image_extra_seconds=fixed(30),
    buckets=UNLIMITED,
)
QUIET = Settings(physics=EXACT, climate=STILL)


@dataclass
class StoryClock:
    """Stands still until the story moves it."""

    time: datetime = START
    booted_at: datetime = BOOT

    def now(self) -> datetime:
        return self.time

    def steady(self) -> datetime:
        return BOOT + (self.time - self.booted_at)

    def steady_at(self, told: datetime) -> datetime:
        return self.steady() + (told - self.time)


@dataclass
class Notes:
    """The content of a volume: lines that a workload wrote."""

    lines: list[str] = field(default_factory=list)

    def fork(self) -> "Notes":
        return Notes(list(self.lines))


def prices(*rows: tuple[Pool, float, str]) -> PriceHistory:
    """Rows of (pool, minutes after the start, USD/h)."""
    return PriceHistory(
        [PriceRow(pool, START + timedelta(minutes=minutes), Decimal(usd)) for pool, minutes, usd in rows],
        "story",
    )


PRICES = prices(
    (A, -60, "0.040000"),
    (A, 30, "0.050000"),
    (B, -60, "0.036000"),
    (C, -60, "0.031000"),
    (OTHER_TYPE, -60, "0.030000"),
    (BIG, -60, "1.100000"),
)


class Scene:
    """An EC2, its clock, and the few words that stories use."""

    def __init__(self, settings: Settings = QUIET, *, history: PriceHistory = PRICES, seed: int = 1):
        self.clock = StoryClock()
        self.ec2 = SimulatedEc2(self.clock, seed, history, ONDEMAND, settings=replace(settings, blank=Notes))
        self.image = self.ec2.controls.add_public_image("debian", Notes(["debian"]))
        self._tokens = 0

    def wait(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)
        self.ec2.advance()

    def request(
        self,
        pool: Pool = A,
        mode: Mode = Mode.SPOT,
        *,
        token: str | None = None,
        image: ImageId | None = None,
        tags: Tags = TAGS,
        user_data: str = "",
        devices: Sequence[BlockDevice] = (),
    ) -> LaunchRequest:
        self._tokens += 1
        return LaunchRequest(
            token=ClientToken(token if token is not None else f"token-{self._tokens}"),
            pool=pool,
            mode=mode,
            image_id=image or self.image,
            tags=tags,
            user_data=user_data,
            block_devices=devices,
        )

    def launched(self, pool: Pool = A, mode: Mode = Mode.SPOT, **more) -> InstanceId:
        return self.ec2.run_instance(self.request(pool, mode, **more)).instance_id

    def running(self, pool: Pool = A, mode: Mode = Mode.SPOT, **more) -> InstanceId:
        """Launched, and EC2 has begun to run it this very second."""
        instance_id = self.launched(pool, mode, **more)
        self.wait(10)
        return instance_id

    def see(self, instance_id: InstanceId) -> InstanceView:
        (view,) = self.ec2.describe_instances([instance_id])
        return view

    def heard(self, instance_id: InstanceId) -> list[tuple[float, HappeningKind]]:
        """What happened to it since the last question, with seconds since the start."""
        return [
            ((happening.at - START).total_seconds(), happening.kind)
            for happening in self.ec2.happenings()
            if happening.instance_id == instance_id
        ]
