"""Schedules that once broke a promise, whole: each runs as the command runs it, and breaks none."""

from dataclasses import replace

import pytest

from spotguard.simulation import campaign
from spotguard.simulation.drawing import HARSH, ORDINARY
from spotguard.simulation.fault_kinds import FaultKind

pytestmark = pytest.mark.long
FORMS = {FaultKind.STOP_AND_START: FaultKind.HIBERNATES, FaultKind.TORN_JOURNAL: FaultKind.DISK_ROTS}
"""In which faults came when these were found: later ones would change what the seeds show."""
ORDINARY_THEN, HARSH_THEN = replace(ORDINARY, otherwise=FORMS), replace(HARSH, otherwise=FORMS)

KEPT = {
    115: "a ledger and a meter that differ by a thousandth of a cent were rounded to two cents",
    150: "an old instance that its user wants left running counted as an orphan",
    159: "a snapshot that EC2 showed later than its image was taken for nobody's",
    256: "what the kill switch had held for hours was late at the moment of its release",
    337: "a holder died minutes after its launch, its volume was out of sight, and an empty machine took its place",
    396: "holder and standby both died while a ticket was out: only a person can say who served last",
    936: "a coordinator died as a recovery's fleet was asked for, and EC2 hid what it had made for minutes",
    966: "the answer to a recovery's fleet was lost, and EC2 hid what it had made for minutes",
    1269: "an open gate, said by a holder before it let go, arrived after its successor's grant and was believed",
    1612: "a voluntary move was under way at the very moment at which clients were to be led to one instance",
    1864: "a holder that heard nothing handed over by its ticket to a standby that EC2 was taking",
    2119: "a move whose reserved launch had come to nothing raised at every pass that a cap set since forbade another",
    6655: "a standby that EC2 was about to take, let go of two minutes before, counted as an orphan",
    7241: "one garbage report of a newer epoch kept the heir of a ticket, who served, from its grant until a death",
}

KEPT_HOURS = {
    200177: "a refusal that came after a lost answer was taken for proof that the first call had made nothing",
    200264: "what the former boot had said of its gate stood in the row when the next boot registered",
    200648: "what a throttled EC2 would not delete was asked for again only after two minutes",
    201125: "a standby's report arrived 34 s late, and its pass was told to be as young as when it was measured",
    201320: "a heartbeat of a stopped holder arrived after its end, and the row named a server without its epoch",
    201375: "what a recovery had carried when its holder's ticket was told of was kept for ever, and nobody was told",
    201477: "what EC2 forbade to delete was called forgotten, and no person was told",
    201598: "the weather took a second holder in calm without a word, and its loss was laid to the first one's notice",
    201990: "a recovery's new instance registered, heard no answer for 20 minutes, and had been granted the epoch",
    202146: "a heartbeat of a stopped holder arrived after it had been started again, with the same wrong row",
    400779: "a clock that was set back stood still in the simulation, where the shipped one goes on at half its pace",
    401921: "a holder that ended before it heard of its epoch was called late to open, amid a kill switch at `all`",
    401965: "a standby made while two ends of a ticket lay dead was called left over, before a person had decided",
    402542: "a recovery that began while the second end of a ticket was going down went on by the older volume",
}
"""Of one hour each, with as many faults."""

KEPT_HARSH = {
    404: "a new holder that died behind a cut line was blamed for not opening when its line was whole",
    935: "a volume with which nobody was ever seen, kept and told, was called left over",
    1124: "what a second recovery lacked was taken for what the first one had lacked, whose heir had never served",
    1201: "a machine that EC2 showed again in the second in which another was asked for was called asked for twice",
    7161: "a machine that was put to sleep while its agent could not start for a full disk never started it again",
    9055: "a failover drill was passed by who recovered the workload from its new instance's death",
    9064: "a launch that was late on its way to EC2, and asked for anew after a minute, was called asked for twice",
    9385: "a move whose holder had let go was late, while its user had stopped everything",
    10705: "what a first death had cost was counted once more with what the second one did",
    11031: "the simulated disk, full, knew no reserve as the shipped one does, and a new holder could not open",
    14075: "the image of a move that was given up, kept while nobody knows who served last, was called left over",
}
"""Of one hour each, harsh ones."""


@pytest.mark.parametrize("seed", KEPT)
def test_a_kept_seed_breaks_nothing(seed):
    assert campaign.run(seed, temper=ORDINARY_THEN).violations == ()


@pytest.mark.parametrize("seed", KEPT_HOURS)
def test_a_kept_hour_breaks_nothing(seed):
    assert campaign.run(seed, hours=1, temper=ORDINARY_THEN).violations == ()


@pytest.mark.parametrize("seed", KEPT_HARSH)
def test_a_kept_harsh_hour_breaks_nothing(seed):
    assert campaign.run(seed, hours=1, temper=HARSH_THEN).violations == ()
