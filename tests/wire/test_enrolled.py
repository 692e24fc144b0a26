"""The first hour with real processes: enrolled, serving, found well by the doctor, and left clean."""

import json
import shlex
import subprocess

import pytest

from spotguard.domain.instances import Mode
from spotguard.planning.agent_files import CONFIG, TOKEN
from spotguard.planning.installation import UNIT_FILE
from tests.host.roots import Root
from tests.wire.processes import REGION, SPOTGUARD, Town


class OldTown(Town):
    """Machines boot without an agent; whoever enrols one starts it as its unit would."""

    def boot(self, instance_id):
        pass

    def says(self, *words):
        """A command, its exit code and its JSON."""
        done = subprocess.run(
            [*SPOTGUARD, *words, "--json"], env=self.environment, capture_output=True, check=False
        )
        return done.returncode, json.loads(done.stdout)

    def start_as_unit(self, root):
        (line,) = [
            one
            for one in (root.path / UNIT_FILE[1:]).read_text().splitlines()
            if one.startswith("ExecStart=")
        ]
        program, *words = shlex.split(line.removeprefix("ExecStart="))
        assert program == "/usr/bin/spotguard"
        self.start("enrolled", *(str(root.path / CONFIG[1:]) if word == CONFIG else word for word in words))


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "root")
    root.write("running")
    (root.path / "var/lib").mkdir(parents=True)
    (root.path / "etc/systemd/system").mkdir(parents=True)
    return root


@pytest.fixture
def town(tmp_path, root, monkeypatch):
    monkeypatch.setenv("SPOTGUARD_PUBLIC_URL", "https://sg.example")
    # absolute paths of a machine are found under its root
    monkeypatch.setenv("SPOTGUARD_AGENT_CLIENT_TOKEN_FILE", str(root.path / TOKEN[1:]))
    monkeypatch.setenv("SPOTGUARD_AGENT_STATE_FOLDER", str(root.path / "var/lib/spotguard"))
    with OldTown(tmp_path) as town:
        town.start_server()
        made = town.run("client", "create", "acme", "--executor", "server", "--region", REGION)
        town.token = made["token"]
        yield town


@pytest.mark.long
def test_the_first_hour(town, root):
    before = root.tree()
    running = shlex.quote(str(root.path / "running"))
    instance_id = launched_by_its_owner(town)
    token = root.path.parent / "token"
    token.write_text(town.token)
    where = ["--root", str(root.path), "--metadata-url", town.wire.imds_url(instance_id)]
    wish = ["--server-url", town.server, "--name", "web", "--token-file", str(token), "--executor", "server"]
    gate = ["--start", f"/usr/bin/touch {running}", "--stop", f"/bin/rm -f {running}"]
    gate += ["--status", f"/usr/bin/test -e {running}", "--program", "/usr/bin/spotguard"]

    code, told = town.says("agent", "install", *where, *wish, *gate, "--yes")
    assert (code, told["installed"], told["in_the_way"]) == (0, True, [])
    town.start_as_unit(root)
    agent = town.until(lambda: served(town, instance_id), seconds=20)
    assert (root.path / "running").exists(), "the workload went on"

    town.run("agent", "install", *where, *wish, *gate, "--yes")
    code, told = town.says("doctor")
    levels = {one["name"]: (one["grade"], one["mend"]) for one in told["findings"]}
    assert (code, told["counts"].get("error")) == (0, None), told
    for name in ("every-agent-is-heard", "every-agent-serves", "every-agent-has-this-version"):
        assert levels[name][0] == "ok", told
    grade, line = levels["every-instance-is-handed-over"]
    assert grade == "warning"
    follow(town, line)
    left = {one["name"] for one in town.says("doctor")[1]["findings"] if one["grade"] == "warning"}
    assert left == {"the-spot-service-has-its-role", "every-clone-has-what-it-boots"}

    town.run("agent", "uninstall", "--root", str(root.path), "--yes")
    left = {name: what for name, what in root.tree().items() if not name.startswith("var/lib/spotguard")}
    assert left == before
    assert agent["currentMode"] == Mode.ONDEMAND.value


def launched_by_its_owner(town, **more):
    """`more`: of RunInstances; on demand without."""
    (made,) = town.client.run_instances(
        ImageId=town.image,
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": f"{REGION}a"},
        **more,
    )["Instances"]
    town.until(lambda: town.shown(made["InstanceId"])["State"]["Name"] == "running", seconds=10)
    return made["InstanceId"]


def served(town, instance_id):
    rows = town.call("GET", "/api/client/agents")["items"]
    return next((row for row in rows if row["instanceId"] == instance_id), None)


def follow(town, line):
    """The line that the doctor shows, typed."""
    words = shlex.split(line)
    assert words[:3] == ["aws", "ec2", "create-tags"]
    resources = words[words.index("--resources") + 1 : words.index("--tags")]
    key, value = (part.partition("=")[2] for part in words[-1].split(","))
    town.client.create_tags(Resources=resources, Tags=[{"Key": key, "Value": value}])
