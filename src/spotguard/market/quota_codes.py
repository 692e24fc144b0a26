"""The codes under which Service Quotas knows the vCPU quotas of EC2.

Amazon EC2 endpoints and quotas (AWS General Reference). Classes that are not here have several quotas, or none.
"""

from __future__ import annotations

from collections.abc import Mapping

from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass

CODES: Mapping[tuple[QuotaClass, Mode], str] = {
    (QuotaClass.STANDARD, Mode.SPOT): "L-34B43A08",
    (QuotaClass.STANDARD, Mode.ONDEMAND): "L-1216C47A",
    (QuotaClass.DL, Mode.SPOT): "L-85EED4F7",
    (QuotaClass.DL, Mode.ONDEMAND): "L-6E869C2A",
    (QuotaClass.F, Mode.SPOT): "L-88CF9481",
    (QuotaClass.F, Mode.ONDEMAND): "L-74FC7D96",
    (QuotaClass.G, Mode.SPOT): "L-3819A6DF",
    (QuotaClass.G, Mode.ONDEMAND): "L-DB2E81BA",
    (QuotaClass.INF, Mode.SPOT): "L-B5D1601B",
    (QuotaClass.INF, Mode.ONDEMAND): "L-1945791B",
    (QuotaClass.X, Mode.SPOT): "L-E3A00192",
    (QuotaClass.X, Mode.ONDEMAND): "L-7295265B",
}
