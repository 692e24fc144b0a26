"""Service Quotas (`servicequotas:GetServiceQuota`): the vCPU quotas that the simulator enforces."""

from __future__ import annotations

import json

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.wire.exchange import Reply, Request
from spotguard.domain.instances import Mode
from spotguard.market.quota_codes import CODES

CONTENT_TYPE = "application/x-amz-json-1.1"
_TARGET = "ServiceQuotasV20190624.GetServiceQuota"
_NAMES = {Mode.SPOT: "All {} Spot Instance Requests", Mode.ONDEMAND: "Running On-Demand {} instances"}


def answer(ec2: SimulatedEc2, request: Request) -> Reply:
    if request.header("X-Amz-Target") != _TARGET:
        return _refused("UnknownOperationException", "only GetServiceQuota is served")
    asked = json.loads(request.body or b"{}")
    found = next((key for key, code in CODES.items() if code == asked.get("QuotaCode")), None)
    if asked.get("ServiceCode") != "ec2" or found is None:
        return _refused("NoSuchResourceException", "no such quota")
    quota_class, mode = found
    told = {
        "ServiceCode": "ec2",
        "QuotaCode": asked["QuotaCode"],
        "QuotaName": _NAMES[mode].format(quota_class),
        "Value": float(ec2.quotas.limit(quota_class, mode)),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
    return Reply(200, json.dumps({"Quota": told}).encode(), CONTENT_TYPE)


def _refused(code: str, message: str) -> Reply:
    return Reply(400, json.dumps({"__type": code, "message": message}).encode(), CONTENT_TYPE)
