"""What every call on EC2's wire has in common: parameters by moto's parser, answers by moto's serializer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from moto.core.exceptions import AccessDeniedError
from moto.ec2.responses import EC2Response

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.wire.account import Account
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.filters import Filters, filters_of
from spotguard.cloud.simulated.wire.pages import page_of
from spotguard.ports.cloud import Tags

Item = TypeVar("Item")


class Answers(EC2Response):
    """One request. A call that no subclass answers is moto's own."""

    # moto forces some states whatever the truth is ("pending" on every launch): ours are true already.
    RESPONSE_KEY_PATH_TO_TRANSFORMER = {  # noqa: RUF012 - moto's own attribute
        key: transform
        for key, transform in EC2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
        if not key.startswith(("RunInstances.", "CreateVolumeResponse."))
    }

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account

    @property
    def ec2(self) -> SimulatedEc2:
        return self.account.ec2

    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """The action is checked by moto; the refusal has EC2's code."""
        try:
            super()._authenticate_and_authorize_normal_action(resource)
        except AccessDeniedError as refusal:
            raise WireError("UnauthorizedOperation", str(refusal.message)) from refusal

    def require_same(self, call: str, token: str, scope: str, asked: str) -> None:
        """The simulator compares what it keeps; a client may not change anything else either."""
        known = self.account.fingerprints.get((call, token, scope))
        if known is not None and known != asked:
            raise WireError("IdempotentParameterMismatch", f"{token} was used with other parameters")

    def items(self, name: str) -> list[Any]:
        return list(self._get_param(name, []))

    def text(self, name: str) -> str:
        """A required parameter."""
        value = self._get_param(name)
        if value is None:
            raise WireError("MissingParameter", f"The request must contain the parameter {name}")
        return str(value)

    def filters(self) -> Filters:
        return filters_of(self.items("Filters"))

    def tags_for(self, kind: str) -> dict[str, str]:
        """The tags that the request puts on resources of this kind."""
        return tags_for(self.items("TagSpecifications"), kind)

    def page(self, key: str, items: Sequence[Item], *, most: int = 1000) -> dict[str, Any]:
        """The items of this page under their key, with the token of the next."""
        shown, token = page_of(items, self._get_param("MaxResults"), self._get_param("NextToken"), most)
        return {key: shown, "NextToken": token}


def tags_for(specifications: Iterable[Mapping[str, Any]], kind: str) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in specifications
        if specification.get("ResourceType") == kind
        for tag in specification.get("Tags", ())
    }


def tag_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def require_known(asked: Iterable[str], shown: Iterable[str], code: str) -> None:
    """The port leaves unknown ids out; EC2 refuses the whole call."""
    missing = sorted(set(asked) - set(shown))
    if missing:
        raise WireError(code, f"The ID '{', '.join(missing)}' does not exist")
