"""Faults that together once broke a promise, shrunk from schedules of a denser kind: they break none."""

import pytest

from spotguard.simulation import campaign
from spotguard.simulation.fault_kinds import Fault
from spotguard.simulation.fault_kinds import FaultKind as F

pytestmark = pytest.mark.long

BEFORE_ITS_REBOOT = (
    Fault(1108.9472427310875, F.SUCCESSOR_DIES, "web-1", 540.4803494447156),
    Fault(1138.0079707645436, F.NOTICE_LATE, "web-1", 40.140881675585966),
    Fault(1286.81346659815, F.HANGS, "web-1", 198.5342224121521),
    Fault(2221.079420426, F.TOGGLES, "db-1", 48.109794489828836),
    Fault(2229.840660737591, F.TOGGLES, "db-1", 252.4728858160392),
    Fault(2249.570754458481, F.COORDINATOR_FROZEN, "db-1", 223.51524164142654),
    Fault(2435.691503190351, F.INSTANCE_DIES, "db-1", 54.00098148512045),
    Fault(2734.2537147650764, F.REBOOT, "db-1", 423.9173696973968),
    Fault(2751.046777558544, F.IMDS_HANGS, "db-1", 519.5139429450594),
)
BEFORE_ITS_PRICE_ROSE = (
    Fault(546.2228435237517, F.POOL_WAVE, "web-1", 31.490974114209386),
    Fault(549.5750467021332, F.EC2_HIDES, "web-1", 95.79122180312864),
    Fault(694.5476068906366, F.PROBES, "build-1", 411.3921001428528),
    Fault(1194.027623257991, F.EC2_ERRORS, "web-1", 22.816305343031672),
    Fault(1591.0336214828951, F.HANGS, "queue-1", 36.251526532540026),
    Fault(1755.9559700425987, F.TORN_JOURNAL, "db-1", 154.79621567321377),
    Fault(2035.6684447354498, F.EC2_ERRORS, "build-1", 186.6121269171143),
    Fault(2146.046974380958, F.ANSWERS, "build-1", 823.1681645359392),
)


@pytest.mark.parametrize(
    ("seed", "struck"),
    [
        pytest.param(
            51032, BEFORE_ITS_REBOOT, id="one that had heard the server before its reboot was called deaf"
        ),
        pytest.param(
            50029,
            BEFORE_ITS_PRICE_ROSE,
            id="a probe whose price rose before its launch was called too cheap",
        ),
    ],
)
def test_they_break_nothing(seed, struck):
    assert campaign.run(seed, struck, hours=1).violations == ()
