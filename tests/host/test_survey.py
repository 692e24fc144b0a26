"""What a machine shows of itself, read from a folder that looks like its root."""

import json
import os
from pathlib import Path

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.host.boot_links import own_links, put_back, take_away, unit_file, vendor_links
from spotguard.host.databases import databases
from spotguard.host.survey import run, survey
from spotguard.host.systemctl import Systemctl
from spotguard.planning.eligibility.facts import Database, Disk, DiskKind, FstabEntry, StoppedWith
from spotguard.planning.findings import Unseen
from spotguard.planning.machine_changes import Link
from tests.host.roots import WANTS, Root
from tests.host.systemd import Manager

EBS, STORE = "Amazon Elastic Block Store", "Amazon EC2 NVMe Instance Storage"


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


def lsblk(*devices):
    return lambda _: json.dumps({"blockdevices": list(devices)})


def disk(name, model, *mounts, children=()):
    return {"name": name, "type": "disk", "model": model, "mountpoints": list(mounts), "children": children}


def part(name, *mounts, children=()):
    return {"name": name, "type": "part", "model": None, "mountpoints": list(mounts), "children": children}


def seen(root, run=None, unit="web.service", units=None):
    return survey(root.path, units or Manager(root), unit, None, run or lsblk())


class TestDisks:
    def test_told_by_their_model_and_by_all_that_lies_on_them(self, root):
        volume_group = {"name": "vg-data", "type": "lvm", "model": None, "mountpoints": ["/data"]}
        run = lsblk(
            disk("nvme0n1", f"{EBS}     ", None, children=[part("nvme0n1p1", "/")]),
            disk(
                "nvme1n1", STORE, None, children=[part("p1", children=[volume_group]), part("p2", "[SWAP]")]
            ),
            disk("xvdb", None, None),
            {"name": "loop0", "type": "loop", "model": None, "mountpoints": ["/snap"]},
        )
        assert seen(root, run).disks == (
            Disk("nvme0n1", DiskKind.EBS, ("/",)),
            Disk("nvme1n1", DiskKind.INSTANCE_STORE, ("/data", "[SWAP]")),
            Disk("xvdb", DiskKind.OTHER),
        )

    @pytest.mark.parametrize(
        "said", ["", "[]", '{"blockdevices": []}', '{"blockdevices": [{}]}', '{"blockdevices": 3}']
    )
    def test_an_lsblk_that_says_something_else_tells_nothing(self, root, said):
        assert isinstance(seen(root, lambda _: said).disks, Unseen)

    def test_without_lsblk_nothing_is_known(self, root):
        def absent(_):
            raise FileNotFoundError("lsblk")

        assert seen(root, absent).disks == Unseen("lsblk does not tell the disks: lsblk")

    def test_of_a_folder_lsblk_is_asked_about_that_folder(self, root):
        asked = []
        seen(root, lambda command: asked.append(command) or '{"blockdevices": []}')
        assert asked[0][-2:] == ["--sysroot", str(root.path)]


def test_this_very_machine_can_be_looked_at():
    told = survey(Path("/"), None, None, "/nowhere", run)
    assert told.architecture == os.uname().machine
    assert isinstance(told.disks, Unseen) or told.disks
    assert not isinstance(told.databases, Unseen)


def test_fstab_without_its_comments(root):
    root.write("etc/fstab", "# /dev/sda1 /old\nUUID=1 / ext4 defaults 0 1\n\n/dev/sdb1 /data ext4\nbroken\n")
    assert seen(root).fstab == (FstabEntry("UUID=1", "/"), FstabEntry("/dev/sdb1", "/data"))
    assert seen(Root(root.path / "empty")).fstab == ()


def test_what_is_no_text_in_fstab_is_told_as_text(root):
    root.write("etc/fstab").write_bytes(b"LABEL=caf\xe9 /caf\xe9 ext4\n")
    assert seen(root).fstab == (FstabEntry(r"LABEL=caf\xe9", r"/caf\xe9"),)


def test_container_engines_that_run(root):
    root.process(10, "dockerd")
    root.process(11, "nginx")
    assert (seen(root).containers, seen(root).is_node) == (("Docker",), False)
    root.process(12, "kubelet")
    assert seen(root).is_node


class TestDatabases:
    def found(self, root, state_path="/srv/app"):
        return databases(root.path, state_path)

    def test_none(self, root):
        assert self.found(root) == ()

    def test_a_postgres_that_runs_in_its_folder(self, root):
        root.write("var/lib/postgresql/15/main/PG_VERSION", "15")
        root.process(7, "postgres", "/var/lib/postgresql/15/main", "/usr/lib/postgresql/15/bin/postgres")
        expected = Database("PostgreSQL", "/var/lib/postgresql/15/main", running=True, replicated=False)
        assert self.found(root) == (expected,)

    def test_one_that_streams_to_another_is_replicated(self, root):
        root.write("srv/app/db/PG_VERSION", "15")
        root.process(7, "postgres", "/srv/app/db")
        root.process(8, "postgres", "/srv/app/db", "postgres: walsender replicator 10.0.0.9(5432) streaming")
        assert self.found(root) == (Database("PostgreSQL", "/srv/app/db", running=True, replicated=True),)

    def test_one_below_the_state_path_that_does_not_run(self, root):
        root.write("srv/app/a/b/PG_VERSION", "15")
        assert self.found(root) == (Database("PostgreSQL", "/srv/app/a/b", running=False),)
        assert self.found(root, None) == ()

    def test_one_in_a_container_runs_though_its_folder_has_another_name_there(self, root):
        root.write("srv/app/db/PG_VERSION", "15")
        root.process(7, "postgres", "/var/lib/postgresql/data")
        told = {one.folder: one.running for one in self.found(root)}
        assert told == {"/srv/app/db": True, "/var/lib/postgresql/data": True}

    def test_a_pid_file_in_it_says_that_it_runs(self, root):
        root.write("srv/app/db/PG_VERSION", "15")
        root.write("srv/app/db/postmaster.pid", "7")
        assert [one.running for one in self.found(root)] == [True]

    def test_mariadb_of_a_cluster_and_a_lonely_mysql(self, root):
        root.write("var/lib/mysql/ibdata1")
        root.process(9, "mariadbd", "/var/lib/mysql")
        (alone,) = self.found(root)
        assert (alone.engine, alone.running, alone.replicated) == ("MySQL/MariaDB", True, None)
        root.write("var/lib/mysql/grastate.dat")
        (member,) = self.found(root)
        assert member.replicated is True

    def test_what_only_root_may_see_is_unknown_and_not_absent(self, root):
        """As root everything may be seen: the refusal is the walk's own word."""
        root.write("srv/app/db/PG_VERSION", "15")
        (root.path / "srv/app").chmod(0)
        try:
            told = survey(root.path, None, None, "/srv/app", lsblk()).databases
        finally:
            (root.path / "srv/app").chmod(0o755)
        if os.geteuid() == 0:
            assert [one.folder for one in told] == ["/srv/app/db"]
        else:
            assert told == Unseen(f"only root may look into {root.path}/srv/app")

    def test_names_of_any_bytes(self, root):
        name = os.fsdecode(b"srv/app/\xff")
        root.write(f"{name}/PG_VERSION", "15")
        (root.path / "proc/3").mkdir(parents=True)
        (root.path / "proc/3/comm").write_bytes(b"\xfe\n")
        assert [one.folder for one in self.found(root)] == ["/srv/app/?"]
        assert seen(root).containers == ()

    def test_a_process_that_ends_while_it_is_looked_at(self, root):
        root.write("proc/5/comm", "postgres\n")
        assert self.found(root) == ()


class TestUnits:
    def test_one_that_is_enabled(self, root):
        root.unit()
        unit = seen(root).unit
        assert (unit.exists, unit.starts_by, unit.vendor_links) == (True, (f"/{WANTS}/web.service",), ())

    def test_one_that_a_package_starts(self, root):
        root.unit(folder="usr/lib/systemd/system", enabled=False)
        root.link("usr/lib/systemd/system/basic.target.wants/web.service", "../web.service")
        root.link("lib", "usr/lib")
        assert seen(root).unit.vendor_links == ("/usr/lib/systemd/system/basic.target.wants/web.service",)

    def test_what_triggers_it_the_manager_knows(self, root):
        root.unit(enabled=False)
        units = Manager(root, triggers={"web.service": ("web.socket",)})
        assert seen(root, units=units).unit.triggered_by == ("web.socket",)
        assert survey(root.path, None, "web.service", None, lsblk()).unit.triggered_by == ()

    @pytest.mark.parametrize(
        ("file", "text", "who"),
        [
            ("etc/systemd/system/app.target", "[Unit]\nWants=db.service web.service\n", "app.target"),
            ("usr/lib/systemd/system/app.service", "[Unit]\nRequires = web.service\n", "app.service"),
            ("etc/systemd/system/app.service", "Upholds=db.service \\\n web.service\n", "app.service"),
            ("etc/systemd/system/cron.service.d/x.conf", "BindsTo=web.service\n", "cron.service"),
            ("etc/systemd/system/app.service", "After=web.service\n#Wants=web.service\n", None),
            ("etc/systemd/system/app.service", "Wants=other-web.service\n", None),
        ],
    )
    def test_another_unit_that_has_it_started_is_named(self, root, file, text, who):
        """No link tells of it: the other one's own file does."""
        root.unit(enabled=False)
        root.write(file, text)
        assert seen(root).unit.triggered_by == (() if who is None else (who,))
        assert (
            survey(root.path, None, "web.service", None, lsblk()).unit.triggered_by
            == seen(root).unit.triggered_by
        )

    def test_what_stops_with_it_and_is_started_without_it_is_named(self, root):
        """A worker that is `PartOf=` it and enabled itself works on a clone, while the old one does."""
        root.unit(enabled=False)
        root.unit("worker.service")
        root.unit("cache.service", enabled=False)
        root.write("etc/systemd/system/worker.service.d/x.conf", "[Unit]\nWants=cache.service\n")
        root.link("etc/systemd/system/web.service.wants/worker.service", "../worker.service")
        units = Manager(
            root,
            triggers={"worker.service": ("worker.socket", "worker.timer")},
            stops={"web.service": ("worker.service", "worker.socket", "cache.service", "srv.mount")},
        )
        assert seen(root, units=units).unit.stopped_with == (
            StoppedWith("worker.service", (f"/{WANTS}/worker.service", "worker.timer")),
            StoppedWith("worker.socket"),
            StoppedWith("cache.service"),
        )
        assert survey(root.path, None, "web.service", None, lsblk()).unit.stopped_with == ()

    def test_an_instance_of_a_template_has_the_templates_file(self, root):
        root.unit("app@.service", enabled=False)
        assert unit_file(root.path, "app@blue.service").name == "app@.service"
        assert unit_file(root.path, "other.service") is None

    def test_a_workload_of_commands_has_no_unit_to_look_at(self, root):
        assert isinstance(seen(root, unit=None).unit, Unseen)

    def test_links_are_put_back_as_they_stood(self, root):
        root.unit()
        root.link("etc/systemd/system/graphical.target.requires/web.service", "../web.service")
        before = root.tree()
        links = own_links(root.path, "web.service")
        assert len(links) == 2
        for link in links:
            take_away(root.path, link)
            take_away(root.path, link)
        assert own_links(root.path, "web.service") == ()
        for link in links:
            put_back(root.path, link)
            put_back(root.path, link)
        assert root.tree() == before

    def test_a_link_whose_folder_is_gone_gets_it_back(self, root):
        put_back(root.path, Link(f"/{WANTS}/web.service", "../web.service"))
        assert (root.path / WANTS / "web.service").readlink().name == "web.service"
        assert vendor_links(root.path, "web.service") == ()


class Away(Manager):
    """systemd does not answer."""

    def triggered_by(self, unit):
        raise GateFailed("systemctl show: no bus")


def test_a_service_manager_that_does_not_answer_makes_the_unit_unknown(root):
    root.unit()
    assert seen(root, units=Away(root)).unit == Unseen("systemctl show: no bus")


class TestSystemctl:
    """A script in systemctl's place: what is asked, and what an answer means."""

    def program(self, root, *lines):
        path = root.write("systemctl", "\n".join(["#!/bin/sh", f'echo "$@" >> {root.path}/asked', *lines]))
        path.chmod(0o755)
        return Systemctl(str(path))

    def asked(self, root):
        return (root.path / "asked").read_text().splitlines()

    def test_starts_anew_and_reads_its_files_again(self, root):
        units = self.program(root)
        units.reload()
        units.start("a.service")
        assert self.asked(root) == ["daemon-reload", "restart -- a.service"]

    def test_one_that_is_not_known_needs_no_stopping(self, root):
        self.program(root, "echo LoadState=not-found").stop("a.service")
        assert self.asked(root) == ["show --property=LoadState -- a.service"]
        self.program(root, "echo LoadState=loaded").stop("a.service")
        assert self.asked(root)[-1] == "stop -- a.service"

    def test_states_and_triggers(self, root):
        assert self.program(root, "echo ActiveState=active").runs("a.service")
        assert not self.program(root, "echo ActiveState=inactive").runs("a.service")
        assert self.program(root, "echo TriggeredBy=a.socket a.timer").triggered_by("a") == (
            "a.socket",
            "a.timer",
        )

    def test_a_refusal_is_one_line(self, root):
        units = self.program(root, "echo no bus >&2", "exit 1")
        with pytest.raises(GateFailed, match="daemon-reload: exit 1: no bus"):
            units.reload()
        with pytest.raises(GateFailed):
            Systemctl(os.devnull).reload()
