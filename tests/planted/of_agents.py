"""Bugs in the agent: what it hears, what it tells, what it remembers."""

from spotguard.simulation.fault_kinds import FaultKind as F
from tests.planted.bug import Bug, Edit, Node, hunt

_LINES = (F.REQUESTS_LOST, F.ANSWERS_LOST, F.CALLS_DOUBLED, F.CALLS_DELAYED, F.SERVER_AWAY)

BUGS = (
    Bug(
        "deaf-after-an-error",
        "aws-node-termination-handler#272: it exits after three errors of the metadata service",
        "18: the next notice is never heard",
        (
            Edit(
                "agent/signals.py",
                "            self._deaf = True\n            return again\n",
                "            self._deaf = True\n            return None\n",
            ),
        ),
        hunt(F.IMDS_UNAUTHORIZED, F.IMDS_THROTTLED, F.IMDS_HANGS, F.FORCED_MOVE),
    ),
    Bug(
        "a-signal-twice-is-an-error",
        "aws-node-termination-handler#307: it crashes on a duplicate event",
        "8, 17: a report that is told again is answered with 500 for ever",
        (
            Edit(
                "store/signals.py",
                "    known: Row[Any] | None = _SAME.first(tx, same)\n    if known is not None:\n        return known\n",
                "",
            ),
            Edit(
                "store/signals.py",
                "    try:\n        _INSERT.add(tx, row)\n"
                "    except IntegrityError:\n        return tx.execute(_TOLD.with_for_update(), same).one()  # told twice in the same moment\n",
                "    _INSERT.add(tx, row)\n",
            ),
        ),
        hunt(*_LINES, F.NOTICE, F.REBALANCE),
    ),
    Bug(
        "a-refused-report-blocks-the-rest",
        "aws-node-termination-handler#787: a message that is not ours is retried for ever",
        "8: what comes after it is never told",
        (
            Edit(
                "agent/posting.py",
                "            if reply is None or reply.status in LATER:\n"
                "                if not self._passes_over(report, now):\n",
                "            if reply is None or reply.status not in OK:\n                if True:\n",
            ),
        ),
        Node(
            "tests/agent/test_identity.py::test_a_report_that_is_refused_does_not_hold_up_the_rest",
            "shipped agents' reports are seldom refused: a schedule needs a move that was adopted elsewhere",
        ),
    ),
    Bug(
        "reports-live-in-memory",
        "the specification's switch report (ruling B2): lost with the process",
        "8: a report that was due is never told",
        (
            Edit(
                "agent/outbox.py",
                '            self._journal.append({"put": report})\n            self._pending[report.id] = report\n',
                "            self._pending[report.id] = report\n",
            ),
        ),
        hunt(
            F.FORCED_MOVE, F.SERVER_AWAY, F.AGENT_KILLED, F.AGENT_DIES_AT_EFFECT, F.SUCCESSOR_DIES_AT_EFFECT
        ),
    ),
    Bug(
        "sent-is-acknowledged",
        "at-most-once queues: removed when it is sent, not when it was heard",
        "8: a report is lost with its answer",
        (
            Edit(
                "agent/posting.py",
                "            except (ServerAway, NotEnrolled):\n                reply = None\n",
                "            except (ServerAway, NotEnrolled):\n                reply = None\n"
                "                self._desk.outbox.acknowledged(report)\n",
            ),
        ),
        hunt(*_LINES, F.FORCED_MOVE, F.PROMOTION),
    ),
    Bug(
        "a-torn-line-stops-the-start",
        "journals that are not self-checking: etcd and its kin after a power cut",
        "14: after a crash in the middle of a line the agent never starts again",
        (
            Edit(
                "agent/files.py",
                "            except Damaged:\n                self.damaged += 1\n",
                "            except Damaged:\n                raise\n",
            ),
        ),
        hunt(F.TORN_JOURNAL),
    ),
    Bug(
        "a-command-is-done-again",
        "at-least-once queues without a book of what was done",
        "5: delivered again it takes effect again",
        (
            Edit(
                "agent/commands.py",
                "        if known is not None and known.answer is not None:\n"
                "            self._book.tell(command.id)\n            return\n",
                "",
            ),
            Edit(
                "agent/command_book.py",
                "            if known is None:\n                self._keep(Entry(command))\n",
                "            if known is None or known.answer is not None:\n                self._keep(Entry(command))\n",
            ),
        ),
        Node(
            "tests/agent/test_commands.py::test_delivered_again_it_returns_the_recorded_outcome",
            "the conditional rows of the server make most repetitions harmless",
        ),
    ),
    Bug(
        "an-expired-command-is-carried-out",
        "patroni#2803: an old word is believed",
        "5: what nobody wants any more is done",
        (
            Edit(
                "agent/orders.py",
                "        return parse_time(self.expires_at) <= now\n",
                "        return parse_time(self.expires_at) is None\n",
            ),
        ),
        Node(
            "tests/agent/test_commands.py::test_an_expired_command_is_refused",
            "the server gives no command out that has expired: this is the agent's second line",
        ),
    ),
    Bug(
        "an-assumed-lag",
        "the specification's sync_status without a measurement",
        "4: a standby whose link is down counts as in sync",
        (
            Edit(
                "agent/sync.py",
                "    if received.lag_seconds is None or received.lag_seconds > highest_lag_seconds:\n",
                "    if received.lag_seconds is None:\n",
            ),
        ),
        hunt(F.TOGGLES, F.AGENT_FROZEN, F.INSTANCE_DIES, F.STRANGER_TERMINATES),
    ),
    Bug(
        "it-hands-over-by-the-word-of-the-server-only",
        "aws-node-termination-handler#916: without its server it does nothing",
        "4: the notice runs out while the server is away, and the gate never closes",
        (
            Edit(
                "agent/alone.py",
                "        if notice is None or self._desk.primacy.held is None or self._desk.hands_off:\n            return None\n        limits",
                "        if notice is None or self._desk.is_enrolled or self._desk.hands_off:\n            return None\n        limits",
            ),
        ),
        Node(
            "tests/agent/test_notices.py::test_alone_it_hands_over_to_its_newest_standby_and_tells_when_it_is_asked",
            "a volume that outlives its holder lacks no write in the simulation, whether or not the gate was closed",
        ),
    ),
    Bug(
        "one-401-is-the-end",
        "aws-node-termination-handler#229: the metadata token is not fetched anew",
        "9: after six hours no notice is heard",
        (
            Edit(
                "host/imds.py",
                "            if answer.status == _UNAUTHORIZED:\n                self.clear_all()\n                answer = self._answer(path)\n",
                "",
            ),
        ),
        Node(
            "tests/host/test_imds.py::test_one_token_serves_many_reads_and_one_new_one_a_401",
            "IMDS over HTTP is spoken by the host's client, not by the simulation's",
        ),
    ),
)
