"""Every planted bug, in the order in which the table shows them."""

from tests.planted import (
    of_agents,
    of_coordination,
    of_edges,
    of_endings,
    of_launches,
    of_moves,
    of_primacy,
    of_promises,
    of_rehearsals,
)
from tests.planted.bug import Bug, Node

BUGS: tuple[Bug, ...] = (
    *of_primacy.BUGS,
    *of_moves.BUGS,
    *of_launches.BUGS,
    *of_endings.BUGS,
    *of_rehearsals.BUGS,
    *of_coordination.BUGS,
    *of_agents.BUGS,
    *of_edges.BUGS,
    *of_promises.BUGS,
)

_MISSED = "asked when the simulation has missed it"
SECOND_LINE: dict[str, Node] = {
    name: Node(test, _MISSED)
    for name, test in {
        "a-damaged-memory-is-an-empty-one": "tests/primacy/test_forgotten.py",
        "a-lost-move-is-no-move": "tests/agent/test_identity.py",
        "volumes-die-with-their-instance": "tests/agent/test_kept_volumes.py",
        "no-client-token": "tests/execution/test_launching.py::test_a_lost_answer_never_makes_two",
        "a-token-of-the-call-not-of-the-attempt": "tests/execution/test_launching.py::test_after_a_crash_other_user_data_still_makes_one",
        "not-visible-is-ended": "tests/execution/test_launching.py::test_what_ec2_does_not_show_yet_is_not_launched_again",
        "the-wish-is-forgotten-when-the-start-fails": "tests/coordinator/test_standbys.py::test_one_whose_launch_was_never_answered_is_ended_too_when_nobody_wants_it_any_more",
        "snapshots-of-an-image-stay": "tests/stories/test_restore_points.py::test_they_roll_with_their_snapshots_and_leave_nothing_behind",
        "no-answer-is-a-refusal": "tests/execution/test_launching.py::test_a_lost_answer_never_makes_two",
        "tags-come-after-the-launch": "tests/execution/test_launching.py",
        "no-deadline-before-the-grant": "tests/coordinator/test_step_deadlines.py",
        "terminate-before-healthy": "tests/coordinator/test_old_instance.py",
        "terminate-at-the-grant": "tests/coordinator/test_old_instance.py",
        "it-ends-itself-and-then-reports": "tests/agent/test_moves.py",
        "an-inactive-replica-row-is-garbage": "tests/stories/test_manual_replica.py",
        "rows-before-the-cloud": "tests/coordinator/test_clean_up.py",
        "nobody-ends-what-was-retired": "tests/coordinator/test_clean_up.py",
        "volumes-are-left-behind": "tests/coordinator/test_planned_moves.py",
        "only-what-happened-lately-is-seen": "tests/coordinator/test_long_away.py",
        "one-poisoned-row-stops-the-pass": "tests/coordinator/test_context.py",
        "a-counter-is-read-and-written-back": "tests/coordinator/test_standbys.py",
        "instances-are-not-counted-anew": "tests/coordinator/test_emergencies.py",
        "absent-once-is-gone": "tests/coordinator/test_emergencies.py",
        "lost-races-are-not-run-again": "tests/store/test_database.py",
        "a-repeated-transaction-inserts-again": "tests/coordinator/test_ledger.py",
        "deaf-after-an-error": "tests/agent/test_notices.py::test_metadata_that_does_not_answer_is_asked_again",
        "a-signal-twice-is-an-error": "tests/api/test_signals_and_standbys.py",
        "reports-live-in-memory": "tests/agent/test_identity.py",
        "sent-is-acknowledged": "tests/agent/test_identity.py::test_after_hours_without_the_server_reports_come_in_order_and_once",
        "a-torn-line-stops-the-start": "tests/agent/test_identity.py::test_a_torn_journal_loses_nothing_that_was_whole",
        "an-assumed-lag": "tests/agent/test_notices.py::test_a_standby_that_hears_nothing_more_says_that_it_is_out_of_sync",
        "the-first-hour-is-billed": "tests/planning/test_metering.py",
        "every-interruption-is-free": "tests/planning/test_metering.py",
        "a-standby-costs-nothing": "tests/coordinator/test_ledger.py",
        "an-old-word-of-the-way-back-is-believed": "tests/stories/test_fallback.py::test_an_old_instance_that_is_not_heard_of_is_no_longer_in_sync",
        "nan-is-a-price": "tests/domain/test_values.py::test_an_absurd_price_is_refused",
    }.items()
}
