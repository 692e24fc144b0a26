"""Enrolling a machine and leaving it clean, on a folder with a small service manager."""

import itertools
import shutil
import socket
import subprocess
import tomllib

import pytest

from spotguard.cli.agent_settings import load_agent_file
from spotguard.domain.errors import GateFailed, InvalidInput, Refused
from spotguard.host.installing import Installer
from spotguard.host.watchdog import SystemdWatchdog
from spotguard.planning.agent_files import CONFIG, TOKEN, Wish, agent_toml, agent_unit
from spotguard.planning.installation import RECEIPT, UNIT_FILE
from spotguard.planning.machine_changes import AGENT_UNIT
from tests.host.roots import WANTS, Root
from tests.host.systemd import Manager

SECRET = "sgc_0123456789"
WISH = Wish("https://spotguard.example", "web-1", ["/usr/bin/spotguard"], unit="web.service", token=SECRET)
BY_COMMANDS = Wish(
    "https://spotguard.example",
    'web "1" %h',
    ["/opt/a b/spotguard"],
    start=["/bin/web", "--go"],
    stop=["/bin/web", "--stop"],
    status=["/bin/web", "--status"],
)


@pytest.fixture
def root(tmp_path):
    """A machine with a workload that starts at boot in two ways, and files under two of our names."""
    root = Root(tmp_path)
    root.unit()
    root.link("etc/systemd/system/graphical.target.requires/web.service", "../web.service")
    root.write("etc/spotguard/agent.toml", "by = 'somebody else'\n").chmod(0o640)
    root.link("etc/systemd/system/spotguard-agent.service", "/dev/null")
    (root.path / "var/lib").mkdir(parents=True)
    return root


@pytest.fixture
def bare(tmp_path):
    """A machine without anything of ours."""
    root = Root(tmp_path / "bare")
    root.unit(enabled=False)
    (root.path / "var/lib").mkdir(parents=True)
    return root


def installed(root, wish=WISH):
    manager = Manager(root)
    manager.running.add("web.service")
    installer = Installer(root.path, manager)
    installer.carry_out(installer.plan(wish))
    return installer, manager


def test_what_it_leaves_is_what_the_agent_reads(root):
    _, manager = installed(root)
    settings = load_agent_file(root.path / CONFIG[1:])
    assert (settings.server_url, settings.logical_agent_id) == (WISH.server_url, "web-1")
    assert (settings.unit, str(settings.client_token_file)) == ("web.service", TOKEN)
    assert (root.path / TOKEN[1:]).read_text().strip() == SECRET
    assert manager.running == {"web.service", AGENT_UNIT}, "the workload is not touched"


def test_nobody_but_its_owner_reads_what_is_secret(root):
    installed(root)
    for name in (CONFIG, TOKEN, RECEIPT):
        assert (root.path / name[1:]).stat().st_mode & 0o777 == 0o600, name
    holders = [name for name, (kind, text) in root.tree().items() if SECRET in text and kind != "link"]
    assert holders == [TOKEN[1:]]


def test_the_workload_does_not_start_at_boot_any_more_and_the_agent_does(root):
    installed(root)
    links = {name for name, (kind, _) in root.tree().items() if kind == "link"}
    assert links == {f"{WANTS}/{AGENT_UNIT}", f"{UNIT_FILE[1:]}.before-spotguard"}


@pytest.mark.parametrize("which", ["root", "bare"])
def test_uninstalling_restores_exactly_what_was_there(which, request):
    root = request.getfixturevalue(which)
    before = root.tree()
    installer, manager = installed(root)
    assert root.tree() != before
    root.write("var/lib/spotguard/journal", "lines")
    root.write("var/lib/spotguard-inbox/a/b", "a standby's copy")
    installer.carry_out(installer.plan_removal())
    assert root.tree() == before
    assert manager.running == {"web.service"}
    assert installer.plan_removal() == ()


def test_the_journal_stays_on_request_and_nothing_else(root):
    before = root.tree()
    installer, _ = installed(root)
    root.write("var/lib/spotguard/journal", "lines")
    installer.carry_out(installer.plan_removal(keep_journal=True))
    assert set(root.tree()) - set(before) == {"var/lib/spotguard", "var/lib/spotguard/journal"}
    installer.carry_out(installer.plan(WISH))
    installer.carry_out(installer.plan_removal())
    assert root.tree() == before, "kept once is not kept for ever"


def test_an_inbox_that_was_there_before_is_not_ours(bare):
    bare.write("var/lib/spotguard-inbox/mine", "of the user")
    before = bare.tree()
    installer, _ = installed(bare)
    installer.carry_out(installer.plan_removal())
    assert bare.tree() == before


def test_installing_again_changes_nothing(root):
    installer, _ = installed(root)
    before = root.tree()
    assert installer.plan(WISH) == ()
    assert root.tree() == before


def test_under_the_root_of_an_image_nothing_is_started_or_stopped(bare):
    before = bare.tree()
    installer = Installer(bare.path, None)
    actions = installer.plan(WISH)
    assert not [one for one in actions if "systemd read" in str(one) or "start spotguard" in str(one)]
    installer.carry_out(actions)
    assert installer.plan(WISH) == ()
    installer.carry_out(installer.plan_removal())
    assert bare.tree() == before


def test_an_agent_that_does_not_run_is_started_again(root):
    installer, manager = installed(root)
    manager.running.discard(AGENT_UNIT)
    installer.carry_out(installer.plan(WISH))
    assert AGENT_UNIT in manager.running


def test_installing_again_with_other_settings_writes_them_and_remembers_the_first_state(root):
    before = root.tree()
    installer, _ = installed(root)
    other = Wish(**{**vars(WISH), "server_url": "https://other.example", "token": None})
    installer.carry_out(installer.plan(other))
    settings = load_agent_file(root.path / CONFIG[1:])
    assert settings.server_url == "https://other.example"
    assert str(settings.client_token_file) == TOKEN, "what no other was given for stays"
    assert (root.path / TOKEN[1:]).read_text().strip() == SECRET
    installer.carry_out(installer.plan_removal())
    assert root.tree() == before


def test_what_its_owner_adds_to_the_settings_stays(root):
    before = root.tree()
    installer, _ = installed(root)
    path = root.path / CONFIG[1:]
    path.write_text(f"{path.read_text()}health_port = 8081\n")
    assert installer.plan(WISH) == ()
    installer.carry_out(installer.plan(Wish(**{**vars(WISH), "server_url": "https://other.example"})))
    settings = load_agent_file(path)
    assert (settings.server_url, settings.health_port) == ("https://other.example", 8081)
    installer.carry_out(installer.plan_removal())
    assert root.tree() == before


def test_a_unit_that_was_enabled_again_meanwhile_is_taken_back_again(root):
    before = root.tree()
    installer, _ = installed(root)
    root.link(f"{WANTS}/web.service", "/etc/systemd/system/web.service")
    installer.carry_out(installer.plan(WISH))
    assert not (root.path / WANTS / "web.service").is_symlink()
    installer.carry_out(installer.plan_removal())
    assert root.tree() == before


def test_one_machine_guards_one_workload(root):
    installer, _ = installed(root)
    with pytest.raises(Refused, match=r"installed for web.service already"):
        installer.plan(BY_COMMANDS)


def test_a_receipt_that_does_not_read_stops_everything(root):
    installer, _ = installed(root)
    root.write(RECEIPT[1:], '{"unit": 3}')
    with pytest.raises(InvalidInput, match="does not read"):
        installer.plan_removal()


def test_after_a_crash_at_any_step_uninstalling_restores_and_installing_completes(tmp_path):
    for number in itertools.count():
        root = Root(tmp_path / f"undo-{number}")
        root.unit()
        root.write("etc/spotguard/agent.toml", "by = 'somebody else'\n")
        (root.path / "var/lib/spotguard").mkdir(parents=True, mode=0o700)
        before = root.tree()
        installer = Installer(root.path, Manager(root))
        actions = installer.plan(WISH)
        installer.carry_out(actions[:number])
        if number % 2:
            installer.carry_out(installer.plan(WISH))
        removal = installer.plan_removal()
        for again in range(len(removal) + 1):
            installer.carry_out(removal[:again])
        expected = before if removal else root.tree()
        scratch = {"var/lib/spotguard"}
        assert without(root.tree(), scratch) == without(expected, scratch), actions[number - 1]
        if number >= len(actions):
            break


def starts_something(root):
    """At boot: the workload, or the agent, which starts it."""
    links = {f"{WANTS}/{AGENT_UNIT}", f"{WANTS}/web.service"}
    return [name for name in links if (root.path / name).is_symlink()]


def test_a_machine_that_boots_between_any_two_steps_starts_its_workload(tmp_path):
    root = Root(tmp_path)
    root.unit()
    (root.path / "var/lib").mkdir(parents=True)
    installer = Installer(root.path, Manager(root))
    for plan in (installer.plan(WISH), None):
        for action in plan or installer.plan_removal():
            installer.carry_out([action])
            assert starts_something(root), str(action)


def without(tree, names):
    return {name: told for name, told in tree.items() if name not in names}


class TestTheUnit:
    def test_it_comes_back_by_itself_and_is_watched_and_limited(self):
        lines = agent_unit(WISH).splitlines()
        assert (
            'ExecStart="/usr/bin/spotguard" "agent" "run" "--config" "/etc/spotguard/agent.toml" "--json-logs"'
            in lines
        )
        for line in ("Restart=always", "StartLimitIntervalSec=0", "OOMScoreAdjust=-900", "MemoryMax=768M"):
            assert line in lines
        assert {"KillMode=mixed", "UMask=0077"} <= {*lines}
        assert SECRET not in agent_unit(WISH)

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
    @pytest.mark.parametrize("gate", ["unit", "commands"])
    def test_systemd_itself_finds_nothing_wrong_with_it(self, gate, tmp_path):
        wish = WISH if gate == "unit" else BY_COMMANDS
        path = tmp_path / AGENT_UNIT
        path.write_text(agent_unit(Wish(**{**vars(wish), "program": ["/bin/true"]})))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_workload_that_commands_start_is_neither_killed_nor_limited_with_the_agent(self):
        lines = agent_unit(BY_COMMANDS).splitlines()
        assert "KillMode=process" in lines
        assert not [line for line in lines if line.startswith(("Memory", "TasksMax", "UMask"))]

    @pytest.mark.parametrize("wish", [WISH, BY_COMMANDS], ids=["unit", "commands"])
    def test_a_child_that_runs_out_of_memory_does_not_take_the_agent_along(self, wish):
        assert "OOMPolicy=continue" in agent_unit(wish).splitlines()

    def test_what_systemd_would_expand_is_written_out(self):
        text = agent_unit(BY_COMMANDS)
        assert 'Description=SpotGuard agent of web "1" %%h' in text
        assert 'ExecStart="/opt/a b/spotguard"' in text

    @pytest.mark.parametrize("name", ["a\nExecStartPre=/bin/evil", "a\x00"])
    def test_a_name_cannot_add_a_line(self, name):
        wish = Wish("https://x", name, ["/usr/bin/spotguard"], unit="web.service")
        with pytest.raises(InvalidInput):
            agent_unit(wish)
        with pytest.raises(InvalidInput):
            agent_toml(wish, has_token=True)


@pytest.mark.parametrize("text", ['quote " and \\ backslash', "ünïcode 🚀", "[table]", "a = 1", "'''"])
def test_settings_are_read_as_they_were_meant(text):
    wish = Wish("https://x", text, ["s"], start=[text, "b"], stop=["x"], status=["y"])
    told = tomllib.loads(agent_toml(wish, has_token=False))
    assert (told["logical_agent_id"], told["start"]) == (text, [text, "b"])
    assert "unit" not in told


def test_an_agent_that_cannot_be_stopped_stops_the_uninstalling(root):
    installer, manager = installed(root)

    class Stubborn(Manager):
        def stop(self, unit):
            pass

    stubborn = Stubborn(root)
    stubborn.running = manager.running
    before = root.tree()
    with pytest.raises(GateFailed, match="still runs"):
        Installer(root.path, stubborn).carry_out(installer.plan_removal())
    assert root.tree() == before


def test_systemd_hears_that_the_agent_lives(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with SystemdWatchdog() as watchdog:
            watchdog.alive()
        assert systemd.recv(100) == b"WATCHDOG=1\n"
    (tmp_path / "notify").unlink()
    with SystemdWatchdog() as watchdog:
        watchdog.alive()  # nobody is there to hear it
    monkeypatch.delenv("NOTIFY_SOCKET")
    with SystemdWatchdog() as watchdog:
        watchdog.alive()
