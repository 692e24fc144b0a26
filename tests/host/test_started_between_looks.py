"""Something else (a socket, a timer) starts the workload between two looks of an opening."""

import pytest

from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.rsync import RsyncSync
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from spotguard.ports.workload import SyncTarget
from tests.host.copying import whole_pass
from tests.host.test_one_look import STARTS, Standby, script

# the look tells what it found; right after it something else starts the workload, on whatever state is there
ANOTHER = 'n=$(cat {d}/looks 2>/dev/null || echo 0); n=$((n+1)); echo $n > {d}/looks; test "$n" = "{bad}"'


def gate_beside_a_socket(state, folder, bad):
    names = {"d": folder, "state": state, "bad": bad}
    starts = STARTS.format(**names)
    another = f"({ANOTHER.format(**names)}) && test $found = 1 && {{ {starts}; }}"
    looks = f"test -e {folder}/runs; found=$?; {another}; exit $found"
    return CommandGate(
        GateCommands(
            start=script(folder / "start", starts),
            stop=script(folder / "stop", f"rm -f {folder}/runs"),
            status=script(folder / "status", looks),
        ),
        folder=folder,
    )


@pytest.mark.parametrize("bad", range(1, 7))
@pytest.mark.parametrize("ran_before", [False, True])
def test_what_counts_as_opened_runs_on_the_received_state(tmp_path, bad, ran_before):
    standby = Standby(tmp_path, gate_beside_a_socket, bad)
    if ran_before:
        (standby.folder / "runs").touch()
    standby.beats()
    assert standby.primacy.has_opened
    assert standby.opened_on()[-1] == "acknowledged"


def test_what_counts_as_opened_is_not_sent_over_the_newer_state_of_the_former_holder(tmp_path):
    """The way back: it adopts what the new holder sends, and the acknowledged balance is nowhere any more."""
    standby = Standby(tmp_path, gate_beside_a_socket, 1)
    standby.beats()
    transport = RsyncTransport(str(tmp_path / "{address}-inbox"))
    term = Term(lambda: 2, lambda: True, lambda: "i-b", lambda: standby.primacy.has_opened, lambda: "web")
    whole_pass(RsyncSync(standby.state, tmp_path / "b-inbox", transport, term), SyncTarget("i-a", "a"))
    former = Term(lambda: 3, lambda: False, lambda: "i-a", lambda: False, lambda: "web")
    RsyncSync(tmp_path / "a", tmp_path / "a-inbox", transport, former).adopt(3)
    assert (tmp_path / "a" / "balance").read_text() == "acknowledged"
