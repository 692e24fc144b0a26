"""Where a promise is checked: a cloud, its time, one pool at home and one elsewhere, an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from spotguard.domain.errors import CloudError, NotVisible, SpotGuardError
from spotguard.domain.ids import ClientToken, ImageId, InstanceId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import BlockDevice, Cloud, InstanceView, LaunchRequest, VolumeState
from spotguard.ports.intentions import TOKEN_TAG
from spotguard.ports.shape import Shape

RUN_TAG = "spotguard:verify"
Seen = TypeVar("Seen")


class Broken(SpotGuardError):
    """The provider does not keep the promise; the message says what it did instead."""


def require(kept: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as `assert` does
    if not kept:
        raise Broken(otherwise)


def refused(kind: type[CloudError], call: Callable[[], Any], code: str | None = None) -> None:
    """The call must be refused with this error, and this code where it is part of the promise."""
    try:
        answer = call()
    except CloudError as error:
        kept = type(error) is kind and code in (None, error.code)
        require(
            kept, f"refused with {type(error).__name__}({error.code}), not {kind.__name__}({code or 'any'})"
        )
        return
    raise Broken(f"not refused: {answer!r}")


@dataclass
class Stage:
    """`wait(seconds)` lets the provider's time pass. `run` is a name that nothing else has: of tokens, tags, images."""

    cloud: Cloud
    wait: Callable[[float], None]
    home: Pool
    elsewhere: Pool
    image_id: ImageId
    run: str
    mode: Mode = Mode.SPOT
    patience_seconds: float = 900
    step_seconds: float = 1
    _numbers: int = field(default=0, repr=False)

    @property
    def tags(self) -> dict[str, str]:
        return {"spotguard:managed": "verify", RUN_TAG: self.run}

    def token(self) -> ClientToken:
        self._numbers += 1
        return ClientToken(f"{self.run}-{self._numbers}")

    def request(
        self, *, devices: Sequence[BlockDevice] = (), shape: Shape | None = None, **changes: Any
    ) -> LaunchRequest:
        """A launch at home; tagged with its token as every launch of ours is."""
        token = changes.pop("token", None) or self.token()
        plain = LaunchRequest(
            token=token,
            pool=self.home,
            mode=self.mode,
            image_id=self.image_id,
            tags={**self.tags, TOKEN_TAG: token},
            block_devices=devices,
            shape=shape,
        )
        return replace(plain, **changes)

    def launched(self, **wish: Any) -> InstanceView:
        return self.cloud.run_instance(self.request(**wish))

    def running(self, **wish: Any) -> InstanceId:
        instance_id = self.launched(**wish).instance_id
        self.until(lambda: self.see(instance_id).state is InstanceState.RUNNING, f"{instance_id} runs")
        return instance_id

    def see(self, instance_id: InstanceId) -> InstanceView:
        """As soon as EC2 shows it: a fresh id may be unknown for a while."""
        return self.until(lambda: self.cloud.describe_instances([instance_id]), f"{instance_id} shows")[0]

    def until(self, look: Callable[[], Seen], what: str) -> Seen:
        """The first true answer; `Broken` when there is none in time."""
        waited = 0.0
        while True:
            with suppress(NotVisible):  # eventual consistency: it may show later
                if seen := look():
                    return seen
            require(waited < self.patience_seconds, f"not within {waited:.0f} s: {what}")
            self.wait(self.step_seconds)
            waited += self.step_seconds

    def end(self, instance_id: InstanceId) -> None:
        self.cloud.terminate_instance(instance_id)
        self.until(
            lambda: self.see(instance_id).state is InstanceState.TERMINATED, f"{instance_id} is terminated"
        )

    def clear(self) -> None:
        """End and delete everything that this run has made, found by its tag."""
        mine = {RUN_TAG: self.run}
        for view in self.cloud.describe_instances(tags=mine):
            if view.state is not InstanceState.TERMINATED:
                self.end(view.instance_id)
        for image in self.cloud.describe_images(tags=mine):
            self.cloud.deregister_image(image.image_id)
        for snapshot in self.cloud.describe_snapshots(tags=mine):
            self.cloud.delete_snapshot(snapshot.snapshot_id)
        self.until(self._volumes_are_gone, "the volumes of the run are gone")

    def _volumes_are_gone(self) -> bool:
        left = [
            volume
            for volume in self.cloud.describe_volumes(tags={RUN_TAG: self.run})
            if volume.state is not VolumeState.DELETING
        ]
        for volume in left:
            if volume.state is VolumeState.AVAILABLE:
                self.cloud.delete_volume(volume.volume_id)
        return not left
