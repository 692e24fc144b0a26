"""CreateTags, DeleteTags, DescribeTags: the simulator's resources keep theirs themselves, all others are moto's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moto.core.responses import ActionResult

from spotguard.cloud.simulated.labels import require_legal_tags
from spotguard.cloud.simulated.wire.answers import Answers
from spotguard.cloud.simulated.wire.filters import Reader, passing
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId, VolumeId
from spotguard.ports.cloud import Tags

_KINDS = {"i": "instance", "vol": "volume", "snap": "snapshot", "ami": "image"}
_READERS: Mapping[str, Reader] = {
    "key": lambda tag: [tag["Key"]],
    "resource-id": lambda tag: [tag["ResourceId"]],
    "resource-type": lambda tag: [tag["ResourceType"]],
    "value": lambda tag: [tag["Value"]],
}


class TagAnswers(Answers):
    """Tags of anything."""

    def create_tags(self) -> ActionResult:
        given = {tag["Key"]: tag.get("Value", "") for tag in self.items("Tags")}
        require_legal_tags(given)
        answer = self._on_others(super().create_tags)
        for resource_id, tags in self._ours().items():
            self.ec2.controls.retag(resource_id, {**tags, **given})
        return answer

    def delete_tags(self) -> ActionResult:
        """A tag given with a value goes only when it has that value."""
        given = [(tag["Key"], tag.get("Value")) for tag in self.items("Tags")]
        answer = self._on_others(super().delete_tags)
        for resource_id, tags in self._ours().items():
            going = {key for key, value in given if value in {None, tags.get(key)}}
            self.ec2.controls.retag(resource_id, {k: v for k, v in tags.items() if k not in going})
        return answer

    def describe_tags(self) -> Told:
        self.error_on_dryrun()
        theirs = [
            {
                "Key": tag["key"],
                "Value": tag["value"],
                "ResourceId": tag["resource_id"],
                "ResourceType": tag["resource_type"],
            }
            for tag in self.account.moto.describe_tags({})
        ]
        ours = [
            {"Key": key, "Value": value, "ResourceId": resource_id, "ResourceType": kind_of(resource_id)}
            for resource_id, tags in self.ec2.inventory().tags_by_id().items()
            for key, value in tags.items()
        ]
        return Told(self.page("Tags", passing([*ours, *theirs], self.filters(), _READERS, lambda _: {})))

    def _ours(self) -> dict[str, Tags]:
        """The simulator's resources among those of the request, with their tags; unknown ones are errors."""
        world = self.ec2.world
        found: dict[str, Tags] = {}
        for resource_id in self._named:
            match kind_of(resource_id):
                case "instance":
                    found[resource_id] = world.machine(InstanceId(resource_id)).tags
                case "volume":
                    found[resource_id] = world.volume(VolumeId(resource_id)).tags
                case "snapshot":
                    found[resource_id] = world.snapshot(SnapshotId(resource_id)).tags
                case "image":
                    found[resource_id] = world.image(ImageId(resource_id)).tags
                case _:
                    pass  # moto's
        return found

    @property
    def _named(self) -> list[str]:
        return self.items("Resources")

    def _on_others(self, call: Callable[[], ActionResult]) -> ActionResult:
        """Moto's part of the call, for what is not the simulator's."""
        everything = self._named
        self._ours()
        others = [resource_id for resource_id in everything if kind_of(resource_id) == ""]
        if not others:
            self.error_on_dryrun()
            return Told({})
        self.params["Resources"] = others
        try:
            return call()
        finally:
            self.params["Resources"] = everything


def kind_of(resource_id: str) -> str:
    """The kind of a resource of the simulator; empty for all others."""
    return _KINDS.get(resource_id.partition("-")[0], "")
