"""What a clone must keep of its original: read before a launch, compared after it."""

from __future__ import annotations

from collections.abc import Iterable

from spotguard.domain.errors import CloudError
from spotguard.domain.ids import InstanceId
from spotguard.ports.cloud import Cloud
from spotguard.ports.intentions import Intention
from spotguard.ports.shape import Shape, differences


def shape_of(cloud: Cloud, instance_id: InstanceId, *, urgent: bool) -> Shape | None:
    """As EC2 shows it. `urgent`: an instance of a plain shape is better than none, whatever EC2 answers.

    Otherwise a `CloudError` passes through: a clone without its groups or its profile would not serve.
    """
    try:
        return cloud.describe_shape(instance_id)
    except CloudError:
        if urgent:
            return None
        raise


def made_otherwise(cloud: Cloud, attempts: Iterable[Intention], instance_id: InstanceId) -> tuple[str, ...]:
    """What EC2 made otherwise than the attempt asked from which this instance came (failures, "lies").

    Whatever EC2 answers to the look is no reason to hold a move up.
    """
    asked = [a.shape for a in attempts if a.outcome is not None and a.outcome.resource_id == instance_id]
    if not asked or asked[-1] is None:
        return ()
    try:
        return differences(asked[-1], cloud.describe_shape(instance_id))
    except CloudError:
        return ()
