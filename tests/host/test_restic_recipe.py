"""docs/recipes/restic.sh with a program in restic's place that keeps one snapshot: what it sends and adopts."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "docs/recipes/restic.sh"
RESTIC = """#!/bin/sh
[ ! -e "$REPOSITORY/unreachable" ] || exit 1
case "$1" in
backup)
  echo "$4" >"$REPOSITORY/host"
  echo '{"message_type": "summary", "data_added": 5}'
  [ ! -e "$REPOSITORY/unreadable" ] || exit 3
  ;;
tag)
  [ -e "$REPOSITORY/ahead" ] ||
    echo '[{"id": "sent", "hostname": "'$(cat "$REPOSITORY/host")'", "time": "2026-01-02T00:00:00Z"}]' \\
      >"$REPOSITORY/snapshots"
  ;;
snapshots) cat "$REPOSITORY/snapshots" ;;
restore) mkdir -p "$4$STATE" && cp -a "$REPOSITORY/state/." "$4$STATE" ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")


@pytest.fixture
def story(tmp_path):
    for name in ("repository/state", "bin", "web"):
        (tmp_path / name).mkdir(parents=True)
    program = tmp_path / "bin" / "restic"
    program.write_text(RESTIC)
    program.chmod(0o755)
    (tmp_path / "repository/state/a").write_text("of the former holder")
    (tmp_path / "web/a").write_text("of the image")
    return tmp_path


def made_by(story, host):
    told = [{"id": f"of-{host}", "hostname": host, "time": "2026-01-01T00:00:00Z", "tags": ["position=1"]}]
    (story / "repository/snapshots").write_text(json.dumps(told))


def run(story, verb, epoch=1, me="i-here"):
    told = {"PATH": f"{story / 'bin'}:{os.environ['PATH']}", "STATE": str(story / "web")}
    told |= {"SPOTGUARD_EPOCH": str(epoch), "REPOSITORY": str(story / "repository")}
    told |= {"SPOTGUARD_INSTANCE_ID": me}
    return subprocess.run(["sh", RECIPE, verb], env=os.environ | told, capture_output=True, check=False)


def adopt(story, epoch):
    ran = run(story, "adopt", epoch)
    ran.check_returncode()
    return json.loads(ran.stdout)["adopted"], (story / "web/a").read_text()


def test_what_another_one_has_sent_is_adopted_once_and_not_at_the_next_boot(story):
    made_by(story, "former")
    assert adopt(story, 2) == (True, "of the former holder")
    (story / "web/a").write_text("acknowledged since")
    for epoch in (2, 3):
        assert adopt(story, epoch) == (False, "acknowledged since")


def test_a_holder_that_boots_does_not_go_back_to_what_it_has_sent_itself(story):
    made_by(story, "i-here")
    assert adopt(story, 2) == (False, "of the image")


def test_a_successor_does_not_serve_while_the_repository_does_not_answer(story):
    made_by(story, "former")
    (story / "repository/unreachable").touch()
    ran = run(story, "adopt", 2)
    assert ran.returncode != 0
    assert b"adopted" not in ran.stdout
    assert (story / "web/a").read_text() == "of the image"


def test_an_empty_repository_has_nothing_to_adopt(story):
    (story / "repository/snapshots").write_text("[]")
    assert adopt(story, 1) == (False, "of the image")


def test_a_pass_that_could_not_read_every_file_is_none(story):
    made_by(story, "former")
    (story / "repository/unreadable").touch()
    assert run(story, "push").returncode != 0
    assert "sent" not in (story / "repository/snapshots").read_text()


def test_a_machine_made_from_the_holders_disk_does_not_go_back_to_what_the_holder_had_sent(story):
    made_by(story, "former")
    ran = run(story, "push", me="i-former")
    assert json.loads(ran.stdout)["bytes_sent"] == 5
    (story / "web/a").write_text("acknowledged since")
    assert adopt(story, 2) == (False, "acknowledged since")


def test_a_copy_that_another_machines_clock_puts_behind_its_own_is_told_and_not_counted(story):
    """Who adopted next would take the former holder's, and nobody would know what it lacks."""
    made_by(story, "former")
    (story / "repository/ahead").touch()
    ran = run(story, "push")
    assert ran.returncode != 0
    assert b"the clocks differ" in ran.stderr
    assert not (story / "web.adopted").exists()


def test_an_adoption_that_is_begun_anew_leaves_nothing_of_the_one_before_it(story):
    made_by(story, "former")
    (story / "web.restored/half").mkdir(parents=True)
    assert adopt(story, 2) == (True, "of the former holder")
    left = ["web", "web.adopted", "web.before-2", "web.lock"]
    assert sorted(path.name for path in story.glob("web*")) == left
