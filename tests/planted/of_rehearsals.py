"""Bugs around drills, around what a promoted standby lacked, and on the way back."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, hunt

_CLONES = (F.RESTORE_DRILL,)
_UNHEARD = (F.NOTICE_ABSENT, F.INSTANCE_DIES, F.TOGGLES)
_LOOKED_AT = (F.ONE_ZONE, F.NOTICE_ABSENT, F.INSTANCE_DIES)
_BACK = (F.FORCED_MOVE, F.PROMOTION, F.TOGGLES)

BUGS = (
    Bug(
        "a-clone-serves",
        "azure-docs#70353: a machine restored for a test takes its original's place in the world",
        "1: clients write to a copy that is thrown away, beside the one that serves",
        (
            Edit(
                "agent/primacy.py",
                "                self._gate.open(REHEARSAL)\n",
                "                self._gate.open(REHEARSAL + 1)\n",
            ),
        ),
        hunt(*_CLONES, hours=2.0),
    ),
    Bug(
        "a-clone-has-its-originals-rights",
        "docs/drills.md: a clone that keeps profile, address and tags acts as production does",
        "16: whoever finds machines by their owner's tags finds the clone too",
        (
            Edit(
                "coordinator/restore_drills.py",
                "                reshape=lambda shape: in_quarantine(shape, agent.quarantine_group),\n",
                "",
            ),
        ),
        hunt(*_CLONES, hours=2.0),
    ),
    Bug(
        "a-drill-passes-without-a-probe",
        "dbatools#6414: a backup is said to be good that nobody has restored",
        "4: the certificate proves that a machine boots, not that the workload runs",
        (
            Edit(
                "coordinator/restore_drills.py",
                "        if drill.command_id is None:\n",
                "        booted = self.ctx.db.read(lambda tx: sightings.get(tx, drill.instance_id))\n"
                "        if booted is not None and moves.is_enrolled(booted):\n"
                "            return self._proven(now, drill, now)\n"
                "        if drill.command_id is None:\n",
            ),
        ),
        hunt(*_CLONES, hours=2.0),
    ),
    Bug(
        "the-clean-up-ends-clones",
        "karpenter-provider-gcp#244: a garbage collector that knows one kind of owner ends what others made",
        "7: a machine is ended for which somebody still has a use",
        (Edit("store/leftover_rows.py", "    sa.not_(_rehearsing),\n", ""),),
        hunt(*_CLONES, F.SERVER_AWAY, hours=2.0),
    ),
    Bug(
        "a-drill-closes-the-gate-like-a-notice",
        "docs/drills.md: a rehearsal that is as merciless as what it rehearses",
        "4: the gate closes at a deadline that nobody has set, and the target lacks the last writes",
        (
            Edit(
                "store/drill_orders.py",
                "    opened = moves.open_ordered(tx, now, order)\n",
                "    in_a_hurry = {**vars(order), 'close_by': now + timedelta(seconds=60)}\n"
                "    opened = moves.open_ordered(tx, now, MoveOrder(**in_a_hurry))\n",
            ),
        ),
        hunt(F.FAILOVER_DRILL),
    ),
    Bug(
        "a-drill-passes-at-the-grant",
        "GitLab's post-mortem of 31 January 2017: what was never seen to work counts as working",
        "3: a failover is proven that no client has seen the end of",
        (
            Edit(
                "planning/drills.py",
                "    if Step.VERIFIED in facts.told and Step.OPENED in facts.heard:\n",
                "    if Step.GRANTED in facts.told:\n",
            ),
            Edit(
                "planning/drills.py",
                "    healthy_at = facts.heard[Step.OPENED]\n",
                "    healthy_at = facts.heard.get(Step.OPENED, facts.heard[Step.GRANTED])\n",
            ),
        ),
        hunt(F.FAILOVER_DRILL),
    ),
    Bug(
        "a-salvaged-volume-stays-attached",
        "kubernetes#37662: a volume that is done with is not detached, and nobody else can have it",
        "6: the dead one's state hangs on the new primary, whose next move takes it along",
        (
            Edit(
                "coordinator/salvages.py",
                "            if shown and shown[0].attached_to == row.instance_id:\n",
                "            if shown and shown[0].attached_to != row.instance_id and shown[0].attached_to:\n",
            ),
        ),
        hunt(*_LOOKED_AT),
    ),
    Bug(
        "what-was-lost-is-cleared-away",
        "mariadb-operator#209: after a failover the only copy of the missing writes is deleted",
        "4: nobody can recover what the standby lacked",
        (
            Edit(
                "coordinator/leftovers.py",
                "    kept_until = switch.created_at + KEEP_AFTER_LOSS\n",
                "    kept_until = switch.created_at\n",
            ),
        ),
        hunt(*_UNHEARD),
    ),
    Bug(
        "the-dead-ones-volume-becomes-the-new-ones",
        "rows that follow whoever shows a volume, whatever it is there for (docs/drills.md)",
        "4, 6: the older state of the dead one counts as the state of who serves",
        (
            Edit(
                "domain/salvages.py",
                "    return is_shown or tags.get(PURPOSE_TAG) == PURPOSE\n",
                "    return is_shown and tags.get(PURPOSE_TAG) != PURPOSE\n",
            ),
        ),
        hunt(*_LOOKED_AT),
    ),
    Bug(
        "who-let-go-still-pushes",
        "pgconsul#200: the old primary still sends to who follows it",
        "4: the older state is swapped in under the new primary",
        (
            Edit(
                "agent/sync.py",
                "        holds = self._desk.primacy.held is not None\n",
                "        holds = self._desk.primacy.held is not None or self._desk.enrolled().replica_id is None\n",
            ),
        ),
        hunt(*_BACK),
    ),
    Bug(
        "an-old-word-of-the-way-back-is-believed",
        "vitess#9788: a replica that hears nothing more is shown with a lag of zero",
        "4: who goes back is told that nothing is lost, and loses what the old instance never got",
        (
            Edit(
                "store/fallbacks.py",
                "    if status is SyncStatus.SYNCED and silent > FRESH:\n",
                "    if status is SyncStatus.SYNCED and silent < timedelta(0):\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.OLD_CUT_OFF, F.OLD_CUT_OFF, hours=2.0),
    ),
)
