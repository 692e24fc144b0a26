"""The first hour and the last two minutes on a machine that systemd runs: the commands as a person types them there."""

import shlex
import socket
import sys
from pathlib import Path

import pytest

from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from tests.host.namespaces import needs_namespaces, until
from tests.host.real_systemd import machine, needs_systemd
from tests.wire.processes import REGION, TOYS
from tests.wire.test_enrolled import OldTown, launched_by_its_owner, served

pytestmark = [pytest.mark.long, needs_systemd]

AGENT = "spotguard-agent.service"
PROGRAM = Path(sys.executable).with_name("spotguard")
WORK = 'echo began >> /srv/web/log; trap "echo flushed >> /srv/web/log; exit 0" TERM; while :; do sleep 0.05; done'


@pytest.fixture
def town(tmp_path):
    with OldTown(tmp_path) as town:
        town.start_server()
        made = town.run("client", "create", "acme", "--executor", "server", "--region", REGION)
        town.token = made["token"]
        yield town


@pytest.fixture
def here():
    """A machine whose owner has a workload that starts at boot."""
    with machine() as made:
        made.run("mkdir", "-p", "/srv/web")
        made.unit("web.service", f"ExecStart=/bin/sh -c '{WORK}'", "[Install]", "WantedBy=multi-user.target")
        made.ctl("enable", "--now", "web.service")
        yield made


def spotguard(town, here, *words):
    """In the machine; what it says."""
    environment = [f"{name}={value}" for name, value in {**TOYS, "AWS_ENDPOINT_URL": town.wire.url}.items()]
    return here.run("env", *environment, str(PROGRAM), *words)


def pid_of(here, unit):
    return here.ctl("show", "--property=MainPID", "--value", unit)


def log_of(here):
    return here.run("cat", "/srv/web/log").split()


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def is_enabled(here, unit):
    return here.run("sh", "-c", f"systemctl is-enabled {unit} || true")


def test_the_first_hour_and_the_last_two_minutes(town, here):
    instance_id = launched_by_its_owner(town, InstanceMarketOptions={"MarketType": "spot"})
    here.run("tee", "/root/token", given=town.token)
    where = ["--metadata-url", town.wire.imds_url(instance_id), "--program", str(PROGRAM)]
    wish = ["--unit", "web.service", "--state-path", "/srv/web", "--executor", "server"]
    wish += ["--server-url", town.server, "--name", "web", "--token-file", "/root/token"]
    workload = pid_of(here, "web.service")

    def heard():
        row = served(town, instance_id)
        return row is not None and row["lastHeartbeatAt"]

    # installed: the workload goes on, and from here on the agent alone starts it
    spotguard(town, here, "agent", "install", *where, *wish, "--yes")
    town.until(heard, seconds=60)
    assert (is_enabled(here, "web.service"), is_enabled(here, AGENT)) == ("disabled", "enabled")

    # an agent that dies, and one that is started anew, leave the workload alone
    for verb in (["kill", "--signal=SIGKILL"], ["restart"]):
        agent, before = pid_of(here, AGENT), heard()
        here.ctl(*verb, AGENT)
        town.until(lambda agent=agent: pid_of(here, AGENT) not in ("0", agent), seconds=20)
        town.until(lambda before=before: heard() != before, seconds=60)
        assert pid_of(here, "web.service") == workload

    # uninstalled: it starts at boot again, and goes on
    spotguard(town, here, "agent", "uninstall", "--yes")
    assert (is_enabled(here, "web.service"), here.state(AGENT)) == ("enabled", "inactive")
    assert pid_of(here, "web.service") == workload
    spotguard(town, here, "agent", "install", *where, *wish, "--yes")
    before = heard()
    town.until(lambda: heard() != before, seconds=60)
    assert log_of(here) == ["began"]

    # the notice: nobody can take over, and it has flushed and rests before the instance is taken
    with town.wire.exclusively() as ec2:
        ec2.controls.interrupt(InstanceId(instance_id), notice_seconds=60)
    town.until(lambda: here.state("web.service") == "inactive", seconds=60)
    assert log_of(here) == ["began", "flushed"]
    assert town.state(instance_id) is InstanceState.RUNNING


@needs_namespaces
def test_the_door_of_a_standby_opens_as_the_handbook_says(here):
    """docs/production.md, "A standby by rsync over ssh": steps 3, 5 and 6."""
    port, folder = free_port(), "/etc/spotguard/sync"
    here.run("usermod", "-p", "*", "root")
    wish = ["--folder", folder, "--inbox", "/srv/spotguard-inbox", "--port", str(port)]
    said = here.run(str(PROGRAM), "agent", "sync-keys", *wish)
    typed = [line for line in said.splitlines() if line.startswith(("ln ", "systemctl "))]
    for line in typed:
        here.run(*shlex.split(line))
    ssh = f"ssh -F {folder}/ssh_config"
    sends = ["rsync", f"--rsh={ssh}", "--mkpath", "/etc/hostname", "root@127.0.0.1:/trial/"]
    until(lambda: here.succeeds(*sends))
    assert here.run("cat", "/srv/spotguard-inbox/trial/hostname") == here.run("cat", "/etc/hostname")
    assert not here.succeeds("sh", "-c", f"{ssh} root@127.0.0.1 touch /root/by-the-door")
    assert not here.succeeds("ls", "/root/by-the-door")
