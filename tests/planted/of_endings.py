"""Bugs in ending and cleaning up: too early, the wrong one, or never."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_PLANNED = (F.FORCED_MOVE, F.PROMOTION)
_TAKEN = (F.NOTICE, F.REBALANCE, F.TOGGLES, F.NOTICE_ABSENT)

BUGS = (
    Bug(
        "terminate-before-healthy",
        "AutoSpotting#401: the old one is ended before the new one is healthy",
        "3: nothing is left to go back to",
        (
            Edit(
                "store/old_ends.py",
                "    proven = Step.OPENED in heard and Step.VERIFIED in heard\n",
                "    proven = Step.OPENED in heard\n",
            ),
        ),
        hunt(*_PLANNED),
    ),
    Bug(
        "terminate-at-the-grant",
        "the specification's own order: terminate, then report (ruling B2)",
        "3: the old one is ended before the new one serves",
        (
            Edit(
                "store/old_ends.py",
                "    proven = Step.OPENED in heard and Step.VERIFIED in heard\n",
                "    proven = Step.GRANTED in heard\n",
            ),
            Edit(
                "store/old_ends.py",
                "        due=heard[Step.OPENED] + wait if proven else None,\n",
                "        due=heard[Step.GRANTED] + wait if proven else None,\n",
            ),
            Edit(
                "coordinator/old_instance.py",
                "    if said.due is None or old.ec2_state in _ENDING:\n        return False\n",
                "    if said.due is None or old.ec2_state in _ENDING:\n        return False\n"
                "    if Step.VERIFIED not in times and Step.OPENED not in times:\n"
                "        return _terminate(ctx, now, switch, InstanceId(switch.old_instance_id))\n",
            ),
        ),
        hunt(*_PLANNED),
    ),
    Bug(
        "it-ends-itself-and-then-reports",
        "the specification's flow (ruling B2): the report dies with its author",
        "3, 8: the holder is gone before anybody knows that it let go",
        (
            Edit(
                "execution/old_half.py",
                "            return self._gone_on(state)\n",
                "            return self._gone_on(state)\n"
                "        if self.cloud is not None and state.close_by is None:\n"
                "            self.cloud.terminate_instance(state.own)\n",
            ),
        ),
        hunt(*_PLANNED),
    ),
    Bug(
        "an-inactive-replica-row-is-garbage",
        "the specification sets is_active = FALSE at the promotion (ruling S8)",
        "1, 7: the promoted standby is ended because its row is inactive",
        (
            Edit(
                "store/leftover_rows.py",
                "    sa.not_(_held),\n    sa.not_(_standby),\n",
                "    sa.not_(_standby),\n",
            ),
            Edit(
                "coordinator/agenda.py",
                "_values([ReplicaStatus.TERMINATED, ReplicaStatus.FAILED])",
                "_values([ReplicaStatus.TERMINATED, ReplicaStatus.FAILED, ReplicaStatus.PROMOTED])",
            ),
        ),
        hunt(*_TAKEN, F.PROMOTION),
    ),
    Bug(
        "whoever-is-named-is-ended",
        "cluster-api-provider-aws#4630: found by a name that others carry too",
        "7: an instance without our tags is ended",
        (
            Edit(
                "execution/ending.py",
                "    if not belongs_to(shown[0].tags, agent_id, maker):\n",
                "    if not shown[0].tags:\n",
            ),
        ),
        Node(
            "tests/execution/test_ending.py::test_what_is_not_ours_is_refused",
            "in the simulation every instance that a row names is one of ours",
        ),
    ),
    Bug(
        "rows-before-the-cloud",
        "karpenter's garbage collection in the wrong order: rows are read before the cloud is asked",
        "7: what has just come is taken for what nobody wants",
        (
            Edit(
                "store/leftover_rows.py",
                "    sa.not_(_standby),\n    sa.not_(_moving),\n    sa.not_(_wished),\n    sa.not_(_ticketed),\n",
                "    sa.not_(_standby),\n",
            ),
            Edit(
                "planning/cleaning.py",
                "    return None if suspect_since is None else suspect_since + SEEN_TWICE\n",
                "    return suspect_since\n",
            ),
        ),
        hunt(*_PLANNED),
    ),
    Bug(
        "nobody-ends-what-was-retired",
        "skypilot#1496: what is no longer wanted runs on",
        "6: machines without a role are never ended",
        (
            Edit(
                "coordinator/leftovers.py",
                '        return self._terminate(now, row, "its role is over and it never served")\n',
                "        return False\n",
            ),
            Edit(
                "coordinator/leftovers.py",
                "        return row.ec2_state not in _ENDING and self._terminate(now, row, NOTHING_REFERS)\n",
                "        return False\n",
            ),
        ),
        hunt(F.TOGGLES, F.REBALANCE, F.CLICKS),
    ),
    Bug(
        "volumes-are-left-behind",
        "EC2 keeps what has DeleteOnTermination = false, and bills it",
        "6: volumes of ended instances stay for ever",
        (
            Edit(
                "store/leftover_rows.py",
                "_s.ended_at.is_(None), sa.or_(volumes, snapshots))\n",
                "_s.ended_at.is_(None), snapshots)\n",
            ),
            Edit(
                "store/leftover_rows.py",
                "sa.or_(_free_volume(), _loose_copy(), _loose_image(), _loose_look())\n",
                "sa.or_(_loose_copy(), _loose_image(), _loose_look())\n",
            ),
        ),
        hunt(*_PLANNED, F.TOGGLES),
    ),
    Bug(
        "snapshots-of-an-image-stay",
        "terraform#2990: an image is deregistered, its snapshots stay",
        "6: snapshots that nobody knows of are billed for ever",
        (
            Edit(
                "coordinator/leftovers.py",
                "    for snapshot in snapshots:\n        cloud.delete_snapshot(snapshot)\n",
                "",
            ),
            Edit(
                "store/leftover_rows.py",
                "sa.or_(_free_volume(), _loose_copy(), _loose_image(), _loose_look())\n",
                "sa.or_(_free_volume(), _loose_image(), _loose_look())\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.RESTORE_DRILL, F.EC2_COPY_FAILS, hours=2.0),
    ),
    Bug(
        "told-to-end-is-ended",
        "cluster-api-provider-aws#674: an answer that is no proof is taken for one",
        "6, 18: a machine that still ends is no longer looked at, and its death is never seen",
        (
            Edit(
                "store/sightings.py",
                "    over = view.state is InstanceState.TERMINATED\n",
                "    over = view.state in (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)\n",
            ),
            Edit(
                "store/sightings.py",
                '            sa.and_(instances.c.ec2_state.is_not(None), instances.c.ec2_state != "terminated"),\n',
                "",
            ),
        ),
        hunt(F.INSTANCE_DIES, F.STRANGER_TERMINATES),
    ),
    Bug(
        "not-found-is-success",
        "cluster-api-provider-aws#674: NotFound is taken for success",
        "6: what EC2 does not show yet is said to have ended, and runs on",
        (
            Edit(
                "execution/ending.py",
                'Later(SOON_SECONDS, f"EC2 does not show {instance_id}") if shown is None else _end(cloud, shown)',
                'Done(f"EC2 does not show {instance_id}") if shown is None else _end(cloud, shown)',
            ),
        ),
        Node(
            "tests/execution/test_ending.py::test_no_clear_answer_means_later",
            "a fresh instance is hidden for three seconds at the most in the simulation, and is ended later than that",
        ),
    ),
)
