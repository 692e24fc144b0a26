"""Two standbys, no volume: the ready one registered a second ago and has not spoken yet, the other's pass is old."""

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import ReplicaId
from spotguard.domain.replicas import ReplicaStatus
from spotguard.planning.emergency import DeathFacts, StandbyFacts, recover


def plan_of(**heir):
    newest = StandbyFacts(
        ReplicaId("newest"), ReplicaStatus.READY, True, 1.0, under_signal=False, silent=True
    )
    older = StandbyFacts(ReplicaId("older"), ReplicaStatus.SYNCING, True, 600.0, under_signal=False)
    return recover(
        DeathFacts(
            enabled=True,
            kill=KillLevel.NONE,
            standbys=(newest, older),
            volume_survives=False,
            same_az_has_capacity=True,
            gate_was_closed=bool(heir),
            handed_over_to=heir.get("heir"),
        )
    )


def test_of_two_passes_with_nothing_else_left_the_newer_one_is_taken():
    assert plan_of().replica_id == "newest"


def test_nor_is_the_one_that_received_the_last_delta_left_for_an_older_pass():
    assert plan_of(heir=ReplicaId("newest")).replica_id == "newest"
