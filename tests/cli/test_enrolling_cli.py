"""`spotguard agent install` and `uninstall`, in a folder without systemd, before the simulated EC2 on the wire."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spotguard.agent.files import Document
from spotguard.agent.handover import Handover
from spotguard.agent.outbox import Outbox, Report
from spotguard.agent.primacy import Held, Primacy
from spotguard.agent.quiet import Quiet
from spotguard.cli.enrolling_wish import tell_doubts
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import MoveKind
from spotguard.execution.move_state import MoveEnd, MoveState, encode
from spotguard.host.disk import FolderDisk
from spotguard.planning.agent_files import Wish
from tests.cli.conftest import Shell
from tests.host.roots import WANTS, Root
from tests.wire.scene import served

SECRET = "sgc_top-secret"
OWN = InstanceId("i-0123456789abcdef0")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWIRE000000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")


@pytest.fixture
def shell():
    return Shell("")


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "root")
    root.unit()
    (root.path / "var/lib").mkdir(parents=True)
    return root


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture(scope="module")
def scene():
    with served() as scene:
        yield scene


def asking(root, scene=None, instance_id=None):
    words = ["agent", "install", "--root", str(root.path), "--unit", "web.service"]
    if scene is None:
        return [*words, "--without-aws"]
    return [*words, "--endpoint-url", scene.wire.url, "--metadata-url", scene.wire.imds_url(instance_id)]


def wishing(token_file):
    return ["--server-url", "https://sg.example", "--name", "web-1", "--token-file", str(token_file), "--yes"]


def test_the_report_is_shown_and_nothing_is_changed(shell, root, scene):
    before = root.tree()
    shown = shell.run(*asking(root, scene, scene.running()), "--report-only")
    assert shown.exit_code == 0, shown.output
    assert "its-private-address-is-not-needed" in shown.stdout
    assert "Nothing was found that points at this instance." in shown.stdout
    assert root.tree() == before


def test_a_state_path_that_is_not_there_is_told_with_the_report(shell, root):
    shown = shell.run(*asking(root), "--state-path", "/srv/wbe", "--report-only")
    assert f"--state-path: /srv/wbe is no folder under {root.path}" in shown.stderr
    (root.path / "srv/web").mkdir(parents=True, exist_ok=True)
    assert shell.run(*asking(root), "--state-path", "/srv/web", "--report-only").stderr == ""
    (root.path / "srv/link").symlink_to("web")
    shown = shell.run(*asking(root), "--state-path", "/srv/link", "--report-only")
    assert "--state-path: /srv/link is a symbolic link: name the folder itself" in shown.stderr


def test_the_report_as_one_object(shell, root, scene):
    instance_id = scene.running()
    address = scene.client.allocate_address(Domain="vpc")
    scene.client.associate_address(InstanceId=instance_id, AllocationId=address["AllocationId"])
    told = shell.json(*asking(root, scene, instance_id), "--report-only")
    grades = {one["name"]: one["grade"] for one in told["findings"]}
    assert grades["its-type-is-sold-as-spot"] == "green"
    assert grades["its-public-address-stays"] == "amber"
    assert [(one["kind"], one["name"]) for one in told["pointers"]] == [
        ("elastic-ip", address["AllocationId"])
    ]
    assert (told["installed"], told["not_looked_at"]) == (False, {})


def test_what_was_not_looked_at_is_said_and_never_green(shell, root):
    told = shell.json(*asking(root), "--report-only")
    unknown = {one["name"] for one in told["findings"] if one["grade"] == "unknown"}
    assert {"its-root-is-on-ebs", "every-call-of-a-move-is-permitted"} <= unknown
    assert set(told["not_looked_at"].values()) == {"--without-aws"}
    shown = shell.run(*asking(root), "--report-only").stdout
    assert "not looked at (--without-aws): alarm, target-group" in shown
    assert "is not known: nobody looked" in shown
    assert "Nothing was found" not in shown
    assert all(line == line.rstrip() for line in shown.splitlines()), "no blanks at the ends"


def test_installing_says_what_it_does_and_uninstalling_restores_it(shell, root, token_file):
    before = root.tree()
    done = shell.run(*asking(root), *wishing(token_file))
    assert done.exit_code == 0, done.output
    assert f"remove /{WANTS}/web.service" in done.stdout
    assert SECRET not in done.output
    assert (root.path / "etc/spotguard/token").read_text() == f"{SECRET}\n"
    again = shell.run(*asking(root), *wishing(token_file))
    assert "Everything is installed as wished already." in again.stdout
    gone = shell.run("agent", "uninstall", "--root", str(root.path), "--yes")
    assert gone.exit_code == 0
    assert root.tree() == before
    nothing = shell.run("agent", "uninstall", "--root", str(root.path), "--yes")
    assert (nothing.exit_code, nothing.stdout.strip()) == (0, "Nothing of SpotGuard's is installed here.")


def test_a_dry_run_says_what_it_would_change_and_changes_nothing(shell, root, token_file):
    before, wish = root.tree(), wishing(token_file)[:-1]
    dry = shell.run(*asking(root), *wish, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "This will" in dry.stdout
    assert dry.stdout.rstrip().endswith("Nothing was changed.")
    told = shell.json(*asking(root), *wish, "--dry-run")
    assert (told["installed"], told["done"]) == (False, [])
    assert root.tree() == before
    assert "This will" not in shell.run(*asking(root), "--dry-run").stdout, "without a name the report is all"

    done = shell.json(*asking(root), *wish, "--yes")["done"]
    assert told["would_do"] == done
    installed = root.tree()
    leaving = ("agent", "uninstall", "--root", str(root.path))
    assert "Nothing was changed." in shell.run(*leaving, "--dry-run").stdout
    would = shell.json(*leaving, "--dry-run")["would_do"]
    assert root.tree() == installed
    assert shell.json(*leaving, "--yes")["done"] == would


def let_go(disk):
    Document(disk, Primacy.NAME).write(Held(OWN, "boot", held=None, released=3))


def standing_by(disk):
    Document(disk, Primacy.NAME).write(Held(OWN, "boot", known=3))


def in_a_move(disk):
    state = MoveState(OWN, 1, MoveKind.IMAGE, datetime.now(UTC))
    Document(disk, Handover.NAME).write(encode(state).decode())


def frozen(disk):
    Document(disk, Quiet.NAME).write({"since": datetime.now(UTC)})


def not_heard(disk):
    Outbox(disk, lambda: None).put(Report("r", "switch", "switch-report", {}, datetime.now(UTC)))
    disk.append(Outbox.NAME, b"torn in the mid")


@pytest.mark.parametrize(
    ("something", "because"),
    [
        (in_a_move, "a move of its workload is under way"),
        (frozen, "its volumes are frozen"),
        (let_go, "its workload serves elsewhere"),
        (standing_by, "epoch 3 is granted and not held here, so that its workload serves elsewhere"),
        (not_heard, "the server has not heard 1 of its reports"),
    ],
)
def test_an_agent_with_something_in_hand_is_not_taken_away(shell, root, token_file, something, because):
    before = root.tree()
    shell.run(*asking(root), *wishing(token_file))
    something(FolderDisk(root.path / "var/lib/spotguard"))
    journal = root.tree()
    refused = shell.run("agent", "uninstall", "--root", str(root.path), "--yes")
    assert (refused.exit_code, root.tree()) == (1, journal)
    assert because in refused.stderr
    assert shell.run("agent", "uninstall", "--root", str(root.path), "--yes", "--force").exit_code == 0
    assert root.tree() == before


def test_it_is_looked_for_where_its_owner_lets_it_write(shell, root, token_file):
    shell.run(*asking(root), *wishing(token_file))
    config = root.path / "etc/spotguard/agent.toml"
    config.write_text(f'{config.read_text()}state_folder = "/srv/agent"\n')
    in_a_move(FolderDisk(root.path / "srv/agent"))
    assert shell.run("agent", "uninstall", "--root", str(root.path), "--yes").exit_code == 1
    config.write_text("state_folder = = 1")
    assert shell.run("agent", "uninstall", "--root", str(root.path), "--yes").exit_code == 0


def test_one_at_rest_is(shell, root, token_file):
    shell.run(*asking(root), *wishing(token_file))
    disk = FolderDisk(root.path / "var/lib/spotguard")
    Document(disk, Primacy.NAME).write(Held(OWN, "boot", held=3, released=1))
    state = MoveState(OWN, 1, MoveKind.IMAGE, datetime.now(UTC), ended=MoveEnd.UNWOUND)
    Document(disk, Handover.NAME).write(encode(state).decode())
    box = Outbox(disk, lambda: None)
    report = Report("r", "switch", "switch-report", {}, datetime.now(UTC))
    box.put(report)
    box.acknowledged(report)
    assert shell.run("agent", "uninstall", "--root", str(root.path), "--yes").exit_code == 0


def test_a_unit_may_be_named_without_its_suffix(shell, root):
    words = ["web" if word == "web.service" else word for word in asking(root)]
    told = shell.json(*words, "--report-only")
    because = {one["name"]: one["because"] for one in told["findings"]}
    assert because["the-workload-starts-only-when-told"] == "web.service starts at boot by itself"


def test_a_person_is_asked_first(shell, root, token_file):
    before = root.tree()
    words = [word for word in wishing(token_file) if word != "--yes"]
    refused = shell.run(*asking(root), *words)
    assert (refused.exit_code, root.tree()) == (1, before)
    assert "--yes asks nothing" in refused.stderr


def test_red_refuses_until_it_is_accepted_by_name(shell, root, token_file):
    (root.path / "etc/systemd/system/web.service").unlink()
    before = root.tree()
    refused = shell.run(*asking(root), *wishing(token_file))
    assert refused.exit_code == 1
    assert "--accept-red the-workload-starts-only-when-told" in refused.stderr
    assert shell.run(*asking(root), "--report-only").exit_code == 1
    assert root.tree() == before
    told = shell.json(
        *asking(root), *wishing(token_file), "--accept-red", "the-workload-starts-only-when-told"
    )
    assert (told["installed"], told["in_the_way"]) == (True, [])
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--name", "web-1"], "--server-url and --name are needed"),
        (["--server-url", "https://x", "--name", "", "--token-file", "-", "--yes"], "--name are needed"),
        (["--server-url", "ftp://x", "--name", "w"], "begins with https://"),
        (["--server-url", "https://", "--name", "w"], "names a host"),
        (["--server-url", "https://x", "--name", "w\u200b"], "invisible character"),
        (["--server-url", "https://x", "--name", "w"], "--token-file is needed"),
        (["--server-url", "https://x", "--name", "w", "--start", "/bin/x"], "give --unit, or --start"),
        (["--server-url", "https://x", "--name", "w", "--token-file", "-"], "add --yes"),
        (["--server-url", "https://x", "--name", "w", "--token-file", "/nowhere"], "does not read"),
        (["--server-url", "https://x", "--name", "w", "--state-path", "rel"], "absolute path"),
        (["--server-url", "https://x", "--name", "w", "--probe", "'"], "does not read"),
        (["--json"], "--json asks nothing"),
        (["--report-only", "--start", "/bin/x"], "give --unit, or --start"),
        (["--report-only", "--state-path", "rel"], "absolute path"),
    ],
)
def test_a_wish_that_cannot_be_is_a_usage_error_before_anything_is_looked_at(shell, root, words, complaint):
    before = root.tree()
    assert complaint in shell.fails(*asking(root), *words, code=2)
    assert root.tree() == before


@pytest.mark.parametrize("added", ['probe = ["true"]', "xx = = 1", "xx = 1", 'log_level = "loud"'])
def test_settings_that_the_agent_could_not_read_are_refused_before_the_workload_is_taken_from_boot(
    shell, root, token_file, added
):
    assert shell.run(*asking(root), *wishing(token_file)).exit_code == 0
    settings = root.path / "etc/spotguard/agent.toml"
    settings.write_text(f"{settings.read_text()}{added}\n")
    root.link(f"{WANTS}/web.service", "/etc/systemd/system/web.service")
    before = root.tree()
    again = shell.run(*asking(root), *wishing(token_file), "--probe", "true")
    assert (again.exit_code, "could not start with its settings" in again.stderr) == (2, True), again.output
    assert root.tree() == before


def test_another_name_is_another_agent_and_is_refused(shell, root, token_file):
    assert shell.run(*asking(root), *wishing(token_file)).exit_code == 0
    before = root.tree()
    words = ["other" if word == "web-1" else word for word in wishing(token_file)]
    again = shell.run(*asking(root), *words)
    assert (again.exit_code, "installed under the name web-1 already" in again.stderr) == (1, True)
    assert root.tree() == before


def test_what_a_folder_does_not_have_is_said(shell, root, token_file):
    words = [word.replace("https:", "http:") for word in wishing(token_file)]
    odd = ["--program", "/nowhere/spotguard", "--probe", "/nowhere/probe", "--state-path", "/nowhere"]
    said = shell.run(*asking(root), *words, *odd).stderr
    assert "--program: /nowhere/spotguard is no program" in said
    assert "--probe: /nowhere/probe is no program" in said
    assert "--state-path: /nowhere is no folder" in said
    assert "would travel in clear" in said


def test_what_a_machine_does_not_have_is_refused():
    wish = Wish("https://x", "web", ("/nowhere/spotguard",), unit="web.service", state_path="/nowhere")
    with pytest.raises(
        InvalidInput, match="/nowhere/spotguard is no program under /; --state-path: /nowhere"
    ):
        tell_doubts(Path("/"), wish, Path("/inbox"))
    tell_doubts(Path("/"), Wish("https://x", "web", ("/bin/sh",), probe=["true"]), Path("/inbox"))


def test_state_and_inbox_in_two_file_systems_are_told(capsys, tmp_path):
    state = tmp_path / "web"
    state.mkdir()
    wish = Wish("https://x", "web", ("/bin/sh",), state_path=str(state))
    tell_doubts(Path("/"), wish, tmp_path / "inbox/to/come")
    assert capsys.readouterr().err == ""
    tell_doubts(Path("/"), wish, Path("/proc/inbox"))  # the kernel's own file system
    assert "do not lie in one file system" in capsys.readouterr().err


def test_a_root_that_is_not_there_is_a_usage_error(shell, tmp_path):
    absent = Root(tmp_path / "absent")
    assert shell.run(*asking(absent), "--report-only").exit_code == 2


def test_a_rule_that_is_none_is_refused(shell, root):
    assert "no rule is named nonsense" in shell.fails(
        *asking(root), "--report-only", "--accept-red", "nonsense", code=2
    )


def test_the_token_from_stdin_is_written_and_never_told(root):
    from typer.testing import CliRunner

    from spotguard.cli.main import app

    words = [*asking(root), *wishing("-")]
    done = CliRunner().invoke(app, words, input=f"{SECRET}\n")
    assert done.exit_code == 0, done.output
    assert (root.path / "etc/spotguard/token").read_text() == f"{SECRET}\n"
    assert SECRET not in done.output
    bad = CliRunner().invoke(app, words, input="two words\n")
    assert bad.exit_code == 2
    assert "words" not in bad.stderr


def test_the_help_says_what_an_option_takes(shell):
    shown = shell.run("agent", "install", "--help").stdout
    assert " TEXT" not in shown
    assert all(word in shown for word in ("URL", "NAME", "UNIT", "COMMAND", "FOLDER", "FILE", "RULE"))
