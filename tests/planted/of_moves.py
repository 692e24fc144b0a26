"""Bugs in how the state travels: gates, passes, volumes, images, and the way back."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_PLANNED = (F.FORCED_MOVE, F.PROMOTION)
_DISTURBED = (*_PLANNED, F.SUCCESSOR_DIES, F.KILL_SWITCH, F.PARTITION, F.EC2_ERRORS)

BUGS = (
    Bug(
        "the-gate-stays-open",
        "vitess#20199: writes go on while the switch-over copies",
        "1, 4: the last writes are on nobody's disk",
        (
            Edit(
                "execution/old_half.py",
                "        self.holding.pause(at_any_rate=self._must_close(state))\n        if state.kind is MoveKind.IMAGE",
                "        if state.kind is MoveKind.IMAGE",
            ),
        ),
        hunt(*_PLANNED),
    ),
    Bug(
        "half-a-pass-counts",
        "issue 4: a final pass that began before the last write (a partial final sync)",
        "4: what was written between is lost on a planned move",
        (
            Edit(
                "execution/old_half.py",
                "        if made is None or made.position < self.sync.position():\n",
                "        if made is None:\n",
            ),
        ),
        hunt(*_PLANNED),
    ),
    Bug(
        "half-a-pass-is-promoted",
        "issue 4: half a pass is promoted",
        "4: a standby without a complete pass is promoted after a death",
        (
            Edit(
                "planning/emergency.py",
                "    return tuple(s for s in facts.standbys if s.enrolled and s.complete_pass_age_seconds is not None)\n",
                "    return facts.standbys\n",
            ),
        ),
        hunt(F.TOGGLES, F.NOTICE, F.NOTICE_ABSENT, F.INSTANCE_DIES, F.REBALANCE),
    ),
    Bug(
        "an-old-standby-is-preferred-to-the-volume",
        "vitess#20199: of two copies the one that lacks writes is promoted",
        "4: a holder that let go leaves a volume without a gap, and a standby with one is promoted",
        (
            Edit(
                "planning/emergency.py",
                "    if facts.gate_was_closed and (facts.volume_survives or facts.may_be_hidden or not facts.looked):\n"
                "        return None  # it closed its gate first: its volume lacks no write, the standby may\n",
                "",
            ),
        ),
        Node(
            "tests/planning/test_deaths.py::test_behind_a_closed_gate_nothing_is_lost_while_the_volume_survives",
            "the gap is told, as after an unheard death: the simulation does not ask whether it could be avoided",
        ),
    ),
    Bug(
        "the-gate-stays-shut-after-an-undo",
        "omicron#7437: an undo that ends half way",
        "18: a move that came to nothing leaves a workload that is down",
        (
            Edit(
                "execution/old_half.py",
                "        try:\n            self.holding.resume()\n"
                "        except StartFailed:\n"
                "            return replace(state, ended=MoveEnd.UNWOUND)"
                "  # it is coming: whoever waited could hear no notice\n"
                "        except GateFailed as error:\n"
                '            return Wait(self.limits.look_again, f"opening the gate again: {error}")\n',
                "",
            ),
        ),
        Node(
            "tests/agent/test_commands.py::test_an_image_move_whose_server_is_lost_reopens_by_itself",
            "moves of the schedules come to nothing mostly before the gate closes: the few schedules that were tried did not show it",
        ),
    ),
    Bug(
        "the-way-back-detaches-for-ever",
        "omicron#2095: an undo that is not idempotent",
        "18: the volume is taken from the old instance again and again",
        (
            Edit(
                "execution/volumes.py",
                "    if view is not None and view.attached_to == state.own and not volume.left:\n",
                "    if view is not None and view.attached_to == state.own:\n",
            ),
        ),
        Node(
            "tests/agent/test_commands.py::test_a_volume_move_that_is_given_up_brings_the_volume_back",
            "a volume move is seldom given up between its detachment and its grant: the few schedules that were tried did not show it",
        ),
    ),
    Bug(
        "a-volume-move-is-granted-before-its-volume-comes",
        "autoscaler#10147: what was asked for is counted as what is there",
        "4, 18: the new one is granted without its state",
        (
            Edit(
                "execution/volumes.py",
                "        return view.state is VolumeState.IN_USE\n    if view.attached_to == origin:\n        cloud.detach_volume(volume.volume_id, origin)\n",
                "        return view.state is VolumeState.IN_USE\n    if view.attached_to == origin:\n        cloud.detach_volume(volume.volume_id, origin)\n        return True\n",
            ),
        ),
        Node(
            "tests/agent/test_moves.py",
            "volume moves carried by an agent are few: the few schedules that were tried did not show it",
        ),
    ),
    Bug(
        "volumes-die-with-their-instance",
        "EC2's default DeleteOnTermination for the volumes of an image",
        "4: after an unheard death there is nothing to recover",
        (
            Edit(
                "ports/cloud.py",
                "    delete_on_termination: bool = False\n",
                "    delete_on_termination: bool = True\n",
            ),
            Edit(
                "agent/kept_volumes.py",
                "                cloud.keep_volumes(own)\n",
                "                pass\n",
            ),
            Edit(
                "coordinator/observe.py",
                "        if ephemeral and enabled:\n            self._keep(cloud, row, ephemeral)\n",
                "",
            ),
        ),
        hunt(F.INSTANCE_DIES, F.STRANGER_TERMINATES),
    ),
    Bug(
        "no-deadline-before-the-grant",
        "skypilot#10155: a clock that is never looked at",
        "18: a move whose successor never comes stays open",
        (
            Edit(
                "store/move_deadlines.py",
                "    if is_past(switch, now):\n"
                '        return "its deadline passed before the state was complete"\n'
                "    due = due_of(tx, switch)\n",
                "    due = None\n",
            ),
            Edit(
                "coordinator/moves.py",
                "    if due is not None and due.step is Step.ENROLLED and now > due.at and not was_away:\n",
                "    if due is not None and due.step is Step.PRUNED and now > due.at and not was_away:\n",
            ),
        ),
        hunt(*_DISTURBED, F.SUCCESSOR_DIES_AT_EFFECT),
    ),
    Bug(
        "clients-stay-behind",
        "the specification's cut-over without a look at what it came to (traffic is not read back)",
        "18: the address, the name or the load balancer still leads to the old instance",
        (
            Edit(
                "execution/traffic.py",
                "    receipt = traffic.switch(errand.route, errand.handing)\n",
                "    receipt = None\n",
            ),
            Edit(
                "execution/traffic.py",
                "    if seen.arrival is Arrival.HERE:\n        return Arrived(seen.because, receipt)\n    return OnTheWay(receipt,",
                "    if seen.arrival is not Arrival.COMING:\n        return Arrived(seen.because, receipt)\n    return OnTheWay(receipt,",
            ),
        ),
        hunt(*_PLANNED),
    ),
)
