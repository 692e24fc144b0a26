"""EC2 through a child process: what it answers, and what becomes of a call whose process is lost.

The child is the real one, over the wire; where it has to misbehave, a few lines of Python take its place.
"""

import os
import signal
import sys
import threading

import pytest

from spotguard.cloud.simulated.wire.faults import Fault, FaultKind, Moment
from spotguard.cloud.simulated.wire.server import WireServer
from spotguard.domain.errors import CloudError, Doubtful, NeedsPerson, NotVisible, PoolDry, Throttled
from spotguard.domain.ids import InstanceId
from spotguard.domain.traffic import ElasticIp
from spotguard.execution.launching import find
from spotguard.host.child_cloud import AWS, ChildCloud, ChildLimits
from spotguard.ports.cloud_calls import answered, remote
from spotguard.ports.traffic import Endpoint, Handing
from tests.cloud.scene import A, Scene

TOYS = ("AWS_ACCESS_KEY_ID=toy", "AWS_SECRET_ACCESS_KEY=toy", "AWS_EC2_METADATA_DISABLED=true")
DEAF = (sys.executable, "-c", "import time; time.sleep(60)")
MUTTERING = (sys.executable, "-c", "print('no answer', flush=True); input(); input()")


class Lab:
    """The simulator on the wire and an agent's way to it; remembers the children by their ids."""

    def __init__(self, folder):
        self.story = Scene()
        self.wire = WireServer(self.story.ec2)
        self.pids = folder / "pids"
        write_pid = ("/bin/sh", "-c", f'echo $$ >> {self.pids}; exec "$@"', "sh")
        to_the_wire = ("/usr/bin/env", f"AWS_ENDPOINT_URL={self.wire.url}", *TOYS)
        self.children = ChildCloud(lambda: A.region, (*write_pid, *to_the_wire, *AWS))
        self.cloud = self.children.cloud

    def started(self):
        return [int(line) for line in self.pids.read_text().split()] if self.pids.exists() else []

    def kill_at(self, moment):
        """kill -9 of the child, before or after the effect of its launch; the call waits for it."""

        def watch(call, at):
            if call.action == "RunInstances" and at is moment:
                os.kill(self.started()[-1], signal.SIGKILL)

        self.wire.faults.watch(watch)

    @property
    def instances(self):
        with self.wire.exclusively() as ec2:
            return ec2.inventory().instances


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    with lab.wire, lab.children:
        yield lab


def test_a_launch_and_a_look_use_one_process(lab):
    made = lab.cloud.run_instance(lab.story.request())
    assert lab.cloud.describe_instances(iter([made.instance_id])) == (made,)
    assert len(lab.started()) == 1


def test_refusals_come_back_as_themselves(lab):
    with lab.wire.exclusively():
        lab.story.ec2.controls.make_dry(A)
    with pytest.raises(PoolDry) as caught:
        lab.cloud.run_instance(lab.story.request())
    assert caught.value.code == "InsufficientInstanceCapacity"
    with pytest.raises(NotVisible):
        lab.cloud.describe_shape(InstanceId("i-00000000000000000"))


@pytest.mark.parametrize(("moment", "made"), [(Moment.BEFORE, 0), (Moment.AFTER, 1)])
def test_a_killed_process_is_doubt_and_the_token_tells(lab, moment, made):
    lab.kill_at(moment)
    if moment is Moment.BEFORE:  # the question had not reached EC2
        lab.wire.faults.plan(Fault("RunInstances", FaultKind.CUT, Moment.BEFORE))
    request = lab.story.request()
    with pytest.raises(Doubtful) as caught:
        lab.cloud.run_instance(request)
    assert caught.value.code == "ChildLost"
    found = find(lab.cloud, request.token)
    assert [view.instance_id for view in lab.instances] == ([found.instance_id] if found else [])
    assert len(lab.instances) == made
    assert len(lab.started()) == 2


def test_a_process_that_died_while_idle_is_replaced_unseen(lab):
    lab.cloud.caller()
    os.kill(lab.started()[0], signal.SIGKILL)
    os.waitid(os.P_PID, lab.started()[0], os.WEXITED | os.WNOWAIT)
    assert lab.cloud.caller().region == A.region
    assert len(lab.started()) == 2


def test_two_calls_at_once_do_not_wait_for_each_other(lab):
    met = threading.Barrier(2, timeout=20)
    lab.wire.faults.watch(lambda _call, at: met.wait() if at is Moment.BEFORE else None)
    callers = [threading.Thread(target=lab.cloud.caller) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not met.broken
    assert len(lab.started()) == 2


def test_an_idle_process_ends():
    ended = threading.Event()

    class Watched(ChildCloud):
        def close(self):
            super().close()
            ended.set()

    command = (
        sys.executable,
        "-c",
        'input(); print(\'{"value": {"account_id": "1", "region": "r"}}\'); input()',
    )
    children = Watched(lambda: A.region, command, ChildLimits(idle=0.1))
    assert children.cloud.caller().account_id == "1"
    assert ended.wait(10)


@pytest.mark.parametrize("command", [DEAF, MUTTERING, ("/bin/false",)])
def test_what_is_no_answer_is_doubt(command):
    with (
        ChildCloud(lambda: A.region, command, ChildLimits(call=1)) as children,
        pytest.raises(Doubtful),
    ):
        children.cloud.caller()


def test_a_process_that_cannot_be_started_did_nothing():
    with pytest.raises(Throttled):
        ChildCloud(lambda: A.region, ("/nowhere",)).cloud.caller()


@pytest.mark.parametrize("kind", CloudError.__subclasses__())
def test_every_member_of_the_error_tree_comes_back(kind):
    scene = Scene()
    scene.ec2.faults.next("caller", kind("TheCode", "the detail"))
    with pytest.raises(kind) as caught:
        remote(lambda line: answered(scene.ec2, line)).caller()
    assert (caught.value.code, caught.value.detail) == ("TheCode", "the detail")


def test_only_the_port_can_be_asked():
    cloud = remote(lambda line: line)
    assert not hasattr(cloud, "controls")
    with pytest.raises(TypeError):
        cloud.terminate_instance()


def test_the_same_process_asks_for_routes(lab):
    nobody = Handing(Endpoint(InstanceId("i-0fedcba9876543210"), "10.0.0.1"), 1)
    lab.cloud.caller()
    with pytest.raises(NeedsPerson, match="InvalidAllocationID"):
        lab.children.traffic.read_back(ElasticIp("eipalloc-0123456789abcdef0"), nobody, None)
    assert len(lab.started()) == 1
