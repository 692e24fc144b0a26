"""The back door for tests in other processes: JSON under `/control/`, on the loopback interface as all of the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from moto import settings as moto_settings
from moto.core.authorization import ActionAuthenticatorMixin

from spotguard.cloud.simulated.content import Nothing
from spotguard.cloud.simulated.imds import ImdsFault
from spotguard.cloud.simulated.wire.account import Account
from spotguard.cloud.simulated.wire.exchange import Reply, Request
from spotguard.cloud.simulated.wire.faults import Fault, FaultKind, Moment, WireFaults
from spotguard.domain.errors import InvalidInput, SpotGuardError
from spotguard.domain.ids import ImageId, InstanceId, SnapshotId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id

PREFIX = "/control/"
JSON = "application/json"
Asked = Mapping[str, Any]
Verb = Callable[[Asked], Any]

# What is done to one instance by naming it.
_TO_AN_INSTANCE = (
    "signal_rebalance",
    "forget_metadata_tokens",
    "fail_instance",
    "end_by_stranger",
    "reboot",
    "stop",
    "start",
)


def enforce_iam(*, on: bool) -> None:
    """The switch is moto's own, for the whole process: each call needs a signature and a policy that allows it."""
    moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if on else float("inf")
    ActionAuthenticatorMixin.request_count = 0


class Control:
    """`POST /control/VERB` with a JSON object: 200 and a JSON answer, or 400 and the reason."""

    def __init__(self, account: Account, faults: WireFaults) -> None:
        self._account = account
        self._controls = account.ec2.controls
        self._faults = faults
        self._verbs: dict[str, Verb] = {
            "fault": self._fault,
            "clear": self._clear,
            "counts": self._counts,
            "inventory": self._inventory,
            "enforce-iam": self._enforce_iam,
            "impair": self._impair,
            "public-image": self._public_image,
            "interrupt": self._interrupt,
            "make-dry": self._make_dry,
            "end-dryness": self._end_dryness,
            "disturb-metadata": self._disturb_metadata,
            "fail-copy": self._fail_copy,
            "tag": self._tag,
        }
        for name in _TO_AN_INSTANCE:
            self._verbs[name.replace("_", "-")] = self._to_instance(getattr(self._controls, name))

    def answer(self, request: Request) -> Reply:
        """The caller holds the lock."""
        try:
            verb = self._verbs.get(request.path.removeprefix(PREFIX))
            if verb is None:
                raise InvalidInput(f"no such verb; there are {', '.join(self._verbs)}")
            self._account.ec2.advance()
            told = verb(json.loads(request.body or b"{}")) or {}
        except (KeyError, TypeError, ValueError, SpotGuardError) as error:
            return Reply(400, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode(), JSON)
        return Reply(200, json.dumps(told, default=str).encode(), JSON)

    def _fault(self, asked: Asked) -> Any:
        kind, moment = FaultKind(asked["kind"]), Moment(asked.get("moment", Moment.BEFORE))
        self._faults.plan(Fault(**{**asked, "kind": kind, "moment": moment}))
        return {"pending": self._faults.pending()}

    def _clear(self, asked: Asked) -> None:
        self._faults.clear()

    def _counts(self, asked: Asked) -> Any:
        counted = self._faults
        return {"calls": counted.calls, "injected": counted.injected, "pending": counted.pending()}

    def _inventory(self, asked: Asked) -> Any:
        return asdict(self._account.ec2.inventory())

    def _enforce_iam(self, asked: Asked) -> None:
        enforce_iam(on=bool(asked["on"]))

    def _impair(self, asked: Asked) -> None:
        """The instance fails its status checks, or passes them again."""
        self._controls.impair(InstanceId(asked["instance_id"]), on=bool(asked.get("on", True)))

    def _public_image(self, asked: Asked) -> Any:
        made = self._controls.add_public_image(asked["name"], Nothing(), asked.get("size_gib"))
        return {"image_id": made}

    def _interrupt(self, asked: Asked) -> None:
        named = "pool_id" in asked
        target = parse_pool_id(asked["pool_id"]) if named else InstanceId(asked["instance_id"])
        self._controls.interrupt(target, notice_seconds=int(asked.get("notice_seconds", 120)))

    def _make_dry(self, asked: Asked) -> None:
        mode = Mode(asked.get("mode", Mode.SPOT))
        self._controls.make_dry(parse_pool_id(asked["pool_id"]), self._until(asked), mode=mode)

    def _end_dryness(self, asked: Asked) -> None:
        self._controls.end_dryness(parse_pool_id(asked["pool_id"]))

    def _disturb_metadata(self, asked: Asked) -> None:
        fault = None if asked.get("fault") is None else ImdsFault[asked["fault"].upper()]
        self._controls.disturb_metadata(InstanceId(asked["instance_id"]), fault, self._until(asked))

    def _until(self, asked: Asked) -> Any:
        seconds = asked.get("seconds")
        return None if seconds is None else self._account.ec2.world.now + timedelta(seconds=float(seconds))

    def _fail_copy(self, asked: Asked) -> None:
        named = asked["copy_id"]
        self._controls.fail_copy(ImageId(named) if named.startswith("ami-") else SnapshotId(named))

    def _tag(self, asked: Asked) -> None:
        self._controls.tag(InstanceId(asked["instance_id"]), asked["tags"])

    @staticmethod
    def _to_instance(control: Callable[[InstanceId], None]) -> Verb:
        return lambda asked: control(InstanceId(asked["instance_id"]))
