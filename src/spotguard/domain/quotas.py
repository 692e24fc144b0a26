"""vCPU quotas of EC2: a limit per class of instance types, spot and on demand apart.

"On-Demand Instance quotas" and "Spot Instance quotas" of the EC2 User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spotguard.domain.instances import Mode


class QuotaClass(StrEnum):
    """Classes that have a vCPU quota of their own."""

    STANDARD = "Standard"  # A, C, D, H, I, M, R, T, Z
    DL = "DL"
    F = "F"
    G = "G"  # with VT
    HIGH_MEMORY = "HighMem"
    HPC = "HPC"
    INF = "Inf"
    MAC = "Mac"
    P = "P"
    TRN = "Trn"
    X = "X"


@dataclass(frozen=True)
class VcpuQuota:
    """One limit of an account in a region, and what of it everything that runs or starts there uses."""

    quota_class: QuotaClass
    mode: Mode
    limit_vcpus: int
    used_vcpus: int
