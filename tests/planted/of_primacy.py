"""Bugs in who may serve: grants, proofs, what the holder remembers and lets go of."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_CUT = (F.PARTITION, F.AGENT_FROZEN, F.REQUESTS_LOST)

BUGS = (
    Bug(
        "silence-as-death",
        "skypilot#6787: what cannot be reached is taken for dead",
        "1, 2: an agent that is cut off serves on beside its successor",
        (
            Edit(
                "store/deaths.py",
                "    return is_proof_of_death(state, mode, hibernates=row.hibernates)\n",
                "    offline = sa.text(\"SELECT id FROM agents WHERE instance_id = :machine AND status = 'offline'\")\n"
                "    silent = tx.execute(offline, {'machine': instance_id}).first()\n"
                "    return silent is not None or is_proof_of_death(state, mode, hibernates=row.hibernates)\n",
            ),
            Edit(
                "coordinator/agenda.py",
                "            sa.or_(epoch_grants.c.released_at.is_not(None), instances.c.ec2_state.in_(_ended_states)),\n",
                "            sa.or_(\n"
                "                epoch_grants.c.released_at.is_not(None),\n"
                "                instances.c.ec2_state.in_(_ended_states),\n"
                "                instances.c.last_heartbeat_at < sa.bindparam('silent'),\n"
                "            ),\n",
            ),
        ),
        hunt(*_CUT),
    ),
    Bug(
        "shutting-down-as-death",
        "the EC2 user guide: a guest runs on while its instance is shutting-down (ruling B4)",
        "1: the dying one still writes when the next one opens",
        (
            Edit(
                "store/deaths.py",
                "    return is_proof_of_death(state, mode, hibernates=row.hibernates)\n",
                "    ending = row.ec2_state == InstanceState.SHUTTING_DOWN.value\n"
                "    return ending or is_proof_of_death(state, mode, hibernates=row.hibernates)\n",
            ),
            Edit(
                "coordinator/agenda.py",
                "_ended_states = _values([InstanceState.TERMINATED, InstanceState.STOPPED])",
                "_ended_states = _values([InstanceState.TERMINATED, InstanceState.STOPPED, InstanceState.SHUTTING_DOWN])",
            ),
        ),
        hunt(F.NOTICE_ABSENT, F.INSTANCE_DIES, F.STRANGER_TERMINATES),
    ),
    Bug(
        "grant-by-the-passing-of-time",
        "orchestrator#1217, patroni's lease: an epoch that ends because time has passed",
        "1: the holder did not hear of it and serves on",
        (
            Edit(
                "store/move_grants.py",
                "    if held.released_at is not None:\n        return Proof.RELEASED\n",
                "    if held.released_at is not None or (now - switch.created_at).total_seconds() > 300:\n"
                "        return Proof.RELEASED\n",
            ),
            Edit(
                "store/grants.py",
                "            return former.released_at is not None\n",
                "            return True\n",
            ),
            Edit(
                "store/move_grants.py",
                "    return COMPLETE_AT[kind] in steps\n",
                "    return COMPLETE_AT[kind] in steps or Step.SYNCED in steps\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.PROMOTION, F.PARTITION, F.AGENT_FROZEN),
    ),
    Bug(
        "grant-before-the-release",
        "vitess#20199: the new one is promoted before the old one has let go",
        "1: two serve until the old one closes its gate",
        (
            Edit(
                "store/move_grants.py",
                "    if held.released_at is not None:\n        return Proof.RELEASED\n",
                "    if held.released_at is not None or Step.SYNCED in steps:\n        return Proof.RELEASED\n",
            ),
            Edit(
                "store/move_grants.py",
                "    return COMPLETE_AT[kind] in steps\n",
                "    return COMPLETE_AT[kind] in steps or Step.SYNCED in steps\n",
            ),
            Edit(
                "store/grants.py",
                "            return former.released_at is not None\n",
                "            return True\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.PROMOTION),
    ),
    Bug(
        "grant-while-a-ticket-is-out",
        "ruling B4a: the holder may have handed its epoch over without the server's knowing",
        "1: the server grants to one while another serves by its ticket",
        (
            Edit(
                "store/grants.py",
                "    if tickets.bars(tx, agent_id, seen_epoch + 1, to_instance):\n        return False\n",
                "",
            ),
        ),
        Node(
            "tests/api/test_tickets.py::test_while_it_is_out_nobody_else_is_granted_its_epoch",
            "a ticket to one standby and a grant to another at one time need a second move: the few schedules that were "
            "tried did not show it",
        ),
    ),
    Bug(
        "promote-the-doomed",
        "AutoSpotting#327: the replacement is itself about to be taken",
        "3: an epoch is granted under a termination notice",
        (
            Edit(
                "store/deaths.py",
                '    return all(map(has_passed, _NOTICES.rows(tx, {"machine": instance_id})))\n',
                "    return True\n",
            ),
            Edit(
                "planning/emergency.py",
                "    fit = [s for s in standbys if s.may_take_over]\n",
                "    fit = [s for s in standbys if not s.silent]\n",
            ),
            Edit(
                "store/plans.py",
                '    if final:\n        replicas.fail(tx, now, replica.id, "its instance has a termination notice")\n',
                "",
            ),
        ),
        hunt(F.FORCED_MOVE, F.TOGGLES, F.STANDBY_NOTICE, F.ZONE_WAVE, F.NOTICE),
    ),
    Bug(
        "the-servers-absence-is-everybodys-silence",
        "kubernetes#6228: the control plane was away, and everything is ended since nobody was heard meanwhile",
        "2: a standby is replaced that had no time to speak",
        (
            Edit(
                "store/silence.py",
                "        _primary.c.heard_since < at,\n",
                "",
            ),
        ),
        Node(
            "tests/coordinator/test_silent_standbys.py::test_a_server_that_was_away_itself_calls_nobody_silent_who_had_no_time_to_speak",
            "the simulation breaks no promise over a standby that is replaced too soon",
        ),
    ),
    Bug(
        "the-agents-row-follows-any-heartbeat",
        "the specification's own UPDATE agents SET instance_id (ruling S15)",
        "1: the row names a standby, not the holder of the epoch",
        (
            Edit(
                "store/agents.py",
                "    if role is Role.PRIMARY:\n        _SERVING.change(",
                "    if role is not Role.PASSIVE:\n        _SERVING.change(",
            ),
        ),
        hunt(F.NOTICE, F.TOGGLES, F.REBALANCE),
    ),
    Bug(
        "a-boot-keeps-the-epoch-of-the-former",
        "patroni#2787: a former primary comes back and takes up where it was",
        "1: stopped, replaced, and started again it serves beside its successor",
        (
            Edit(
                "agent/memory.py",
                "            found = found.of_boot(me.boot_id)\n",
                "            found = replace(found, boot_id=me.boot_id)\n",
            ),
        ),
        hunt(F.STOP_AND_START),
    ),
    Bug(
        "a-released-epoch-opens-again",
        "patroni#2803: who has let go believes an older word",
        "1: a late promotion opens a gate that was closed for ever",
        (
            Edit(
                "agent/primacy.py",
                "            if epoch <= self._now.released:\n                return False\n",
                "",
            ),
        ),
        Node(
            "tests/agent/test_identity.py::test_a_released_epoch_never_opens_again_whatever_it_is_told",
            "the server never names a released epoch again: this is the agent's second line",
        ),
    ),
    Bug(
        "identity-from-the-image",
        "tailscale#506: a clone carries its original's node key",
        "16: a clone believes that it holds what its original held",
        (
            Edit(
                "agent/agent.py",
                "        if stored is not None and stored.instance_id != identity.instance_id:\n",
                "        if stored is not None and not stored.agent_token:\n",
            ),
            Edit(
                "agent/agent.py",
                "        is_this_boot = stored is not None and stored.boot_id == identity.boot_id\n",
                "        is_this_boot = stored is not None\n",
            ),
        ),
        Node(
            "tests/agent/test_identity.py::test_a_clone_discards_the_identity_and_stays_passive",
            "the server refuses the heartbeats of a token that another instance was given: moves by image come to "
            "nothing, and nobody serves twice",
        ),
    ),
    Bug(
        "the-fence-is-not-obeyed",
        "Patroni: a demoted primary that does not demote itself",
        "1: whoever lost the epoch keeps serving",
        (
            Edit(
                "agent/presence.py",
                "        if epoch is not None and desk.primacy.fence(epoch):\n",
                "        if epoch is not None and epoch < 0:\n",
            ),
        ),
        Node(
            "tests/agent/test_identity.py::test_whoever_lost_the_epoch_closes",
            "every grant rests on a proof, so that in the simulation nobody is left to be fenced",
        ),
    ),
    Bug(
        "a-hibernated-holder-counts-as-ended",
        "our own first reading of ruling B4: stopped on demand is over; EC2 gives a hibernated one its memory back",
        "1: it wakes in the midst of its term and serves beside its successor",
        (
            Edit(
                "domain/instances.py",
                "    boots = state is InstanceState.STOPPED and mode is Mode.ONDEMAND and hibernates is False\n",
                "    boots = state is InstanceState.STOPPED and mode is Mode.ONDEMAND\n",
            ),
            Edit(
                "store/deaths.py",
                "        i.hibernates == sa.false(),\n",
                "",
            ),
        ),
        hunt(F.TOGGLES, F.TOGGLES, F.HIBERNATES),
    ),
    Bug(
        "registered-is-enrolled",
        "our own simulation, seed 201990: a new instance registered, heard no answer for 20 minutes, and held the epoch",
        "1, 18: an epoch is granted to one that hears nothing; it can neither open nor give it back",
        (
            Edit("store/registration.py", '        "hears": False,\n', '        "hears": True,\n'),
            Edit(
                "store/registration.py",
                "        _take_place(tx, now, enrolled_by, newcomer)\n    else:\n",
                "        _take_place(tx, now, enrolled_by, newcomer)\n"
                "        moves.enrolled(tx, now, newcomer.instance_id)\n    else:\n",
            ),
        ),
        hunt(F.INSTANCE_DIES, F.PARTITION_ONE_WAY, F.PARTITION_ONE_WAY, F.PARTITION_ONE_WAY),
    ),
    Bug(
        "a-late-heartbeat-is-believed",
        "our own simulation, seed 201320: a delayed heartbeat of a stopped holder arrived after its end",
        "1, 9: the row of who is over says that it lives, and the agent's that it is there",
        (
            Edit(
                "store/agents.py",
                '        .where(_i.id == sa.bindparam("wanted"), sa.not_(_run_is_over()))\n',
                '        .where(_i.id == sa.bindparam("wanted"))\n',
            ),
        ),
        hunt(F.STOP_AND_START, F.CALLS_DELAYED),
    ),
    Bug(
        "promoted-and-read-only",
        "orchestrator's ApplyMySQLPromotionAfterMasterFailover switched off: the promoted one stays read-only",
        "18: whoever is granted the epoch is heard, and never opens",
        (
            Edit(
                "agent/primacy.py",
                "                self._memory.keep(replace(self._now.without_ticket(), held=epoch, paused=False))\n",
                "                self._memory.keep(replace(self._now.without_ticket(), held=epoch, paused=epoch > 1))\n",
            ),
        ),
        hunt(F.FORCED_MOVE, F.PROMOTION, F.PARTITION_ONE_WAY),
    ),
    Bug(
        "a-damaged-memory-is-an-empty-one",
        "our own first reading of a damaged file: enrol anew, and believe what the server says",
        "1: a holder that has handed over by its ticket opens again before the server has heard of it",
        (
            Edit(
                "agent/primacy.py",
                "            forgot = not (was_this_boot and self._is_open())\n",
                "            forgot = not was_this_boot\n",
            ),
        ),
        hunt(F.DISK_ROTS, F.NOTICE, F.SERVER_AWAY, F.TOGGLES),
    ),
    Bug(
        "a-lost-move-is-no-move",
        "our own simulation: a holder's file was damaged while its image was made, and its gate opened again",
        "4: what is acknowledged then is not in the image from which the new one serves",
        (
            Edit(
                "agent/agent.py",
                "            if primacy.paused and self._handover.is_lost:\n",
                "            if primacy.held == 0:\n",
            ),
        ),
        hunt(F.DISK_ROTS, F.DISK_ROTS, F.FORCED_MOVE),
    ),
)
