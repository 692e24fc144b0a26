"""The gate on a unit, with systemd itself."""

import pytest

from spotguard.domain.errors import GateFailed, StartFailed
from spotguard.domain.instances import GateState
from spotguard.host.systemd_gate import SystemdGate
from tests.host.namespaces import until
from tests.host.real_systemd import machine, needs_systemd

pytestmark = needs_systemd


@pytest.fixture(scope="module")
def here():
    with machine() as made:
        yield made


def gate_of(here, unit):
    return SystemdGate(unit, systemctl=here.systemctl, groups=here.groups, end_seconds=2.0)


def test_it_opens_and_closes_and_again_is_harmless(here):
    here.unit("web.service", "ExecStart=/bin/sleep 1000")
    gate = gate_of(here, "web.service")
    assert gate.state() is GateState.CLOSED
    for _ in range(2):
        gate.open(1)
        assert (gate.state(), gate.healthy()) == (GateState.OPEN, True)
    for _ in range(2):
        gate.close()
        assert (gate.state(), gate.healthy()) == (GateState.CLOSED, False)


def test_a_unit_that_does_not_exist_is_told(here):
    gate = gate_of(here, "nobody.service")
    with pytest.raises(GateFailed, match="not found"):
        gate.open(1)
    with pytest.raises(GateFailed, match="not loaded"):
        gate.close()


def test_a_database_that_is_part_of_it_has_flushed_before_it_is_closed(here):
    """`systemctl stop` of the workload alone returns while the database writes: an image would be taken meanwhile."""
    flush = "ExecStop=/bin/sh -c 'sleep 1; touch /run/flushed'"
    here.unit("db.service", "ExecStart=/bin/sleep 1000", flush, needs=["PartOf=shop.service"])
    wants = ["Requires=db.service", "After=db.service"]
    here.unit("shop.service", "ExecStart=/bin/sleep 1000", needs=wants)
    gate = gate_of(here, "shop.service")
    gate.open(1)
    assert here.state("db.service") == "active"
    gate.close()
    assert here.run("ls", "/run/flushed") == "/run/flushed"
    assert here.state("db.service") == "inactive"
    gate.close()
    gate.open(2)
    assert here.state("db.service") == "active"
    gate.close()


def waits_for_another(here, name):
    """A unit whose database comes up slowly, and its gate, which has been told to open it and has not waited."""
    slow = f"ExecStartPre=/bin/sh -c 'while [ ! -e /run/{name}-go ]; do sleep 0.05; done'"
    here.unit(f"{name}-db.service", slow, "ExecStart=/bin/sleep 1000")
    wants = [f"Requires={name}-db.service", f"After={name}-db.service"]
    here.unit(f"{name}.service", "ExecStart=/bin/sleep 1000", needs=wants)
    gate = SystemdGate(
        f"{name}.service", systemctl=here.systemctl, groups=here.groups, end_seconds=2.0, open_seconds=0.5
    )
    with pytest.raises(StartFailed, match="no end within"):
        gate.open(1)
    assert here.state(f"{name}.service") == "inactive"
    assert (gate.state(), gate.healthy()) == (GateState.OPEN, False), "its job will start it"
    return gate


def test_one_that_waits_for_another_to_start_comes_up_in_the_end(here):
    gate = waits_for_another(here, "late")
    with pytest.raises(StartFailed, match="does not run"):
        gate.open(1)
    here.run("touch", "/run/late-go")
    assert until(gate.healthy)
    gate.open(1)
    gate.close()


def test_one_that_waits_for_another_to_start_does_not_once_it_was_closed(here):
    gate = waits_for_another(here, "never")
    gate.close()
    here.run("touch", "/run/never-go")
    until(lambda: here.state("never-db.service") == "active")
    assert gate.state() is GateState.CLOSED
    here.ctl("stop", "never-db.service")


def test_what_has_it_as_its_requisite_has_ended_too(here):
    slow = "ExecStop=/bin/sh -c 'sleep 1; touch /run/rested'"
    here.unit("base.service", "ExecStart=/bin/sleep 1000")
    here.unit(
        "rests.service",
        "ExecStart=/bin/sleep 1000",
        slow,
        needs=["Requisite=base.service", "After=base.service"],
    )
    here.ctl("start", "base.service")
    here.ctl("start", "rests.service")
    gate_of(here, "base.service").close()
    here.run("rm", "/run/rested")


def test_what_nobody_may_stop_or_what_is_not_there_keeps_no_gate_from_being_closed(here):
    here.unit("alone.service", "ExecStart=/bin/sleep 1000", needs=["PropagatesStopTo=absent.service"])
    refuses = ["PartOf=alone.service", "RefuseManualStop=yes"]
    here.unit("refuses.service", "ExecStart=/bin/sleep 1000", needs=refuses)
    here.ctl("start", "alone.service", "refuses.service")
    gate_of(here, "alone.service").close()
    assert [here.state(f"{name}.service") for name in ("alone", "refuses")] == ["inactive"] * 2


def test_a_manager_that_escapes_twice_is_understood(here, tmp_path):
    """As systemd before 240 shows names and paths: what goes on in a group with a dash would not be seen."""
    here.unit("my-app@.service", "ExecStart=/bin/sh -c 'sleep 1003 & exec sleep 1004'", "KillMode=process")
    former = tmp_path / "systemctl"
    lines = [
        "#!/bin/sh",
        f'[ $1 = show ] || exec {here.systemctl} "$@"',
        f"{here.systemctl} \"$@\" | sed 's/\\\\x/\\\\x5cx/g'",
    ]
    former.write_text("\n".join(lines))
    former.chmod(0o700)
    gate = SystemdGate("my-app@1.service", systemctl=str(former), groups=here.groups)
    gate.open(1)
    group = here.ctl("show", "--property=ControlGroup", "--value", "my-app@1.service")
    assert "\\x2d" in group
    gate.close()
    assert here.ctl("show", "--property=ControlGroup", "--value", "my-app@1.service") == ""


def test_a_volume_that_is_unmounted_with_it_is_before_it_is_closed(here):
    """As docs/state-sync.md says it for a state that moves by its volume: nobody detaches one that is mounted still."""
    volume = "[Mount]\nWhat=tmpfs\nType=tmpfs\nWhere=/srv/volume\n"
    here.run("tee", "/etc/systemd/system/srv-volume.mount", given=f"[Unit]\nDefaultDependencies=no\n{volume}")
    here.run("mkdir", "-p", "/etc/systemd/system/srv-volume.mount.d")
    drop_in = "/etc/systemd/system/srv-volume.mount.d/spotguard.conf"
    here.run("tee", drop_in, given="[Unit]\nPartOf=disk.service\n")
    here.unit("disk.service", "ExecStart=/bin/sleep 1000", needs=["RequiresMountsFor=/srv/volume"])
    here.unit("shell.service", "ExecStart=/bin/sh -c 'cd /srv/volume && exec sleep 1000'", "Type=exec")
    gate = gate_of(here, "disk.service")
    gate.open(1)
    here.ctl("start", "shell.service")
    sits = here.ctl("show", "--property=MainPID", "--value", "shell.service")
    until(lambda: here.run("readlink", f"/proc/{sits}/cwd") == "/srv/volume")
    with pytest.raises(GateFailed, match=r"srv-volume\.mount was stopped and is active"):
        gate.close()
    here.ctl("stop", "shell.service")
    gate.close()
    assert not here.succeeds("mountpoint", "/srv/volume")
    gate.open(2)
    assert here.succeeds("mountpoint", "/srv/volume")
    gate.close()


def test_what_requires_it_and_what_is_part_of_that_ends_with_it(here):
    sleeps = "ExecStart=/bin/sleep 1000"
    here.unit("root.service", sleeps)
    here.unit("leaf.service", sleeps, needs=["Requires=root.service", "After=root.service"])
    slow = "ExecStop=/bin/sleep 1"
    here.unit("twig.service", sleeps, slow, needs=["BindsTo=leaf.service", "PartOf=root.service"])
    here.ctl("start", "root.service", "leaf.service", "twig.service")
    gate_of(here, "root.service").close()
    assert [here.state(f"{name}.service") for name in ("root", "leaf", "twig")] == ["inactive"] * 3


@pytest.mark.parametrize("mode", ["process", "none"])
def test_what_the_stop_of_a_unit_leaves_running_is_asked_to_end(here, mode):
    """It would write on after the last pass."""
    writes = 'trap "sleep 0.3; touch /run/ended; exit" TERM; touch /run/writes; while :; do sleep 0.05; done'
    name = f"leaves-{mode}.service"
    here.unit(name, f"KillMode={mode}", f"ExecStart=/bin/sh -c '({writes}) & exec sleep 1000'")
    gate = gate_of(here, name)
    gate.open(1)
    until(lambda: here.succeeds("rm", "/run/writes"))
    gate.close()
    assert gate.state() is GateState.CLOSED
    here.run("rm", "/run/ended")
    assert here.ctl("show", "--property=ControlGroup", "--value", name) == ""


def test_what_does_not_end_keeps_the_gate_from_being_closed_and_is_not_killed(here):
    """`SendSIGKILL=no`, as MariaDB's unit has it: its stop has failed, and it still writes."""
    deaf = "ExecStart=/bin/sh -c 'trap \"\" TERM; while [ ! -e /run/let-go ]; do sleep 0.05; done'"
    here.unit("deaf.service", deaf, "SendSIGKILL=no", "TimeoutStopSec=1")
    gate = gate_of(here, "deaf.service")
    gate.open(1)
    for _ in range(2):
        with pytest.raises(GateFailed, match=r"processes? .* go on .*deaf\.service"):
            gate.close()
    assert here.state("deaf.service") == "failed"
    here.run("touch", "/run/let-go")
    until(lambda: not here.ctl("show", "--property=ControlGroup", "--value", "deaf.service"))
    gate.close()


def test_one_that_is_left_behind_does_not_keep_the_workload_from_being_started_again(here):
    """Its main process has crashed: who serves has to serve on."""
    leaves = "ExecStart=/bin/sh -c 'sleep 1001 & exec sleep 1002'"
    here.unit("crash.service", leaves, "KillMode=process")
    gate = gate_of(here, "crash.service")
    gate.open(1)
    here.ctl("kill", "--kill-who=main", "--signal=SIGKILL", "crash.service")
    until(lambda: here.state("crash.service") == "failed")
    assert gate.state() is GateState.CLOSED
    gate.open(1)
    assert gate.healthy()
    gate.close()


def test_a_unit_that_systemd_starts_again_and_again_is_not_well(here):
    here.unit("loops.service", "ExecStart=/bin/false", "Restart=always", "RestartSec=30")
    here.ctl("start", "--no-block", "loops.service")
    gate = gate_of(here, "loops.service")
    until(lambda: here.state("loops.service") == "activating")
    assert (gate.state(), gate.healthy()) == (GateState.OPEN, False)
    gate.close()
    assert gate.state() is GateState.CLOSED
