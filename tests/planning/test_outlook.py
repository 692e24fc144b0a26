"""What would be done next, and why: every small world gets a sentence, and each is true of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from spotguard.domain.agents import Autonomy, KillLevel, Protection
from spotguard.domain.decisions import Verdict
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus
from spotguard.domain.switches import OPEN_SWITCH, SwitchStatus
from spotguard.planning.approvals import STANDS_FOR
from spotguard.planning.outlook import LastDecision, LiveStandby, OpenMove, Standing, outlook
from spotguard.planning.presence import Heard

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE = "in t3.medium.ap-south-1a (spot)"
CALM = Standing(
    now=NOW,
    deleted=False,
    enabled=True,
    place=HERE,
    heard=Heard.HEARD,
    protection=Protection.AUTOMATIC,
    autonomy=Autonomy.AUTO,
    kill=KillLevel.NONE,
    move=None,
    standby=None,
    signal_because=None,
    decision=None,
)
READY = LiveStandby("t3.medium.ap-south-1b", ReplicaStatus.READY, "100", "kept")
SYNCING = replace(READY, status=ReplicaStatus.SYNCING, progress="40")
MOVE = OpenMove("t3.medium.ap-south-1c", "synced", SwitchStatus.PREPARING, "cheaper")
STAY = LastDecision(
    Verdict.STAY, None, "the cheapest other safe pool would save 1 %", NOW - timedelta(minutes=5)
)
ASKED = LastDecision(Verdict.AWAIT_APPROVAL, "t3.medium.ap-south-1b", "b is 9 % cheaper", NOW)
DECIDED = [None, STAY, *(replace(ASKED, verdict=verdict) for verdict in Verdict)]


def every_world():
    switches = product((True, False), (True, False), (HERE, None), Heard)
    around = product(
        Protection,
        KillLevel,
        (None, *(replace(MOVE, status=status) for status in sorted(OPEN_SWITCH))),
        (None, *(replace(READY, status=status) for status in sorted(LIVE_REPLICA))),
        (None, "a rebalance recommendation"),
        DECIDED,
    )
    for (deleted, enabled, place, heard), (protection, kill, move, standby, signal, decision) in product(
        switches, around
    ):
        yield Standing(
            NOW,
            deleted,
            enabled,
            place,
            heard,
            protection,
            Autonomy.AUTO,
            kill,
            move,
            standby,
            signal,
            decision,
        )


def test_every_world_is_told_of_and_no_decision_speaks_where_the_engine_does_not():
    seen = set()
    for standing in every_world():
        told = outlook(standing)
        assert told.next_action
        assert told.why
        assert "None" not in told.next_action + told.why
        seen.add(told.next_action)
        spoke = standing.decision is not None and standing.decision.because in told.why
        if spoke:
            assert standing.protection is Protection.AUTOMATIC
            assert (standing.move, standing.kill) == (None, KillLevel.NONE)
    assert len(seen) > 10


STORIES = {
    "at rest": (CALM, f"stay {HERE}", "has not decided anew"),
    "a decision to stay": (
        replace(CALM, decision=STAY),
        f"stay {HERE}",
        "would save 1 % (decided 2026-03-01 11:55",
    ),
    "a proposal waits": (replace(CALM, decision=ASKED), "once a person approves", "9 % cheaper"),
    "nobody answered": (
        replace(CALM, decision=replace(ASKED, at=NOW - STANDS_FOR)),
        f"stay {HERE}",
        "has not decided anew",
    ),
    "it only observes": (
        replace(CALM, decision=replace(ASKED, verdict=Verdict.STAY)),
        "would move to t3.medium.ap-south-1b",
        "9 % cheaper",
    ),
    "a guard-rail refused": (
        replace(CALM, decision=replace(ASKED, verdict=Verdict.REFUSED, because="refused: only 1 h here")),
        f"stay {HERE}",
        "only 1 h here",
    ),
    "its move came to nothing": (
        replace(CALM, decision=replace(ASKED, verdict=Verdict.MOVE)),
        f"stay {HERE}",
        "has not decided anew",
    ),
    "a move": (
        replace(CALM, move=MOVE, decision=STAY),
        "move to t3.medium.ap-south-1c (synced), preparing",
        "cheaper",
    ),
    "a move after its grant": (
        replace(CALM, move=replace(MOVE, status=SwitchStatus.COMMITTED)),
        "finish the move to t3.medium.ap-south-1c",
        "cheaper",
    ),
    "manual, with an old decision": (
        replace(CALM, protection=Protection.MANUAL, standby=READY, decision=STAY),
        f"stay {HERE}, hand over to the standby in t3.medium.ap-south-1b",
        "a person decides",
    ),
    "manual, no standby yet": (
        replace(CALM, protection=Protection.MANUAL),
        "make a standby",
        "manual mode keeps one",
    ),
    "a standby comes up": (
        replace(CALM, standby=SYNCING),
        "standby in t3.medium.ap-south-1b: syncing, 40 %",
        "kept",
    ),
    "neither mode": (
        replace(CALM, protection=Protection.NONE, decision=STAY),
        f"stay {HERE}",
        "neither mode",
    ),
    "hands off": (replace(CALM, enabled=False, decision=STAY), "none: disabled", "hands off"),
    "all stopped": (replace(CALM, kill=KillLevel.ALL), "none: everything is stopped", "emergencies included"),
    "voluntary stopped": (
        replace(CALM, kill=KillLevel.VOLUNTARY, decision=ASKED),
        f"stay {HERE}",
        "kill switch",
    ),
    "the server was away": (replace(CALM, heard=Heard.UNKNOWN), "listen: it was last", "was away itself"),
    "silent": (replace(CALM, heard=Heard.SILENT), "look: it was last", "silence alone"),
    "a recommendation": (
        replace(CALM, signal_because="a replica is made", standby=READY),
        "hand over to the standby",
        "a replica is made",
    ),
    "nobody serves": (
        replace(CALM, enabled=False, unserved="i-1 has let go: enable it"),
        "nobody serves it",
        "has let go: enable it",
    ),
    "deleted": (replace(CALM, deleted=True, move=MOVE), "none: deleted", "history is kept"),
    "never served": (replace(CALM, place=None), "wait for its first instance", "serves yet"),
}


@pytest.mark.parametrize(("standing", "action", "why"), STORIES.values(), ids=STORIES)
def test_story(standing, action, why):
    told = outlook(standing)
    assert action in told.next_action
    assert why in told.why


def test_after_the_replica_of_a_signal_was_retired_nobody_is_told_that_one_is_made():
    told = outlook(replace(CALM, signal_because="an emergency replica is made", standby=None))
    assert told.why.startswith("no standby is there now; when its signal came: ")
