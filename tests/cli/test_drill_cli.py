"""`spotguard drill`: what it asks of a server, what it shows meanwhile, how it ends."""

from __future__ import annotations

import pytest

from spotguard.cli.drill import Errand, passed_line, plan_lines
from spotguard.cli.output import Failed
from spotguard.domain.errors import ServerAway
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = Scene()
    yield stage
    stage.close()


def errand(scene: Scene) -> Errand:
    world = scene.world
    return Errand(world.link, world.client_token, lambda seconds: scene.wait(seconds=seconds))


def test_it_watches_a_failover_to_its_end_and_tells_each_step_once(scene):
    mine = errand(scene)
    agent_id = mine.agent_named("web-1")
    assert mine.agent_named(agent_id) == agent_id
    began = mine.ask(agent_id, "failover", dry_run=False)["drill"]
    lines: list[str] = []
    ended = mine.watch(agent_id, began["id"], lines.append)
    assert ended["status"] == "passed"
    assert passed_line(ended).endswith(" s; no write was lost")
    assert passed_line(ended | {"lostSeconds": None}).endswith("; whether a write was lost is not known")
    restored = ended | {
        "kind": "restore",
        "seconds": 187.2,
        "stateAgeSeconds": 250,
        "because": "its probe succeeded",
    }
    assert (
        passed_line(restored)
        == "passed, from its launch until it was healthy: 187 s, image 4 min old; its probe succeeded"
    )
    told = [line.split()[1] for line in lines]
    assert told[0] == "decided"
    assert {"gate_closed", "granted", "opened", "verified"} <= set(told)
    assert len(told) == len(set(told))


def test_what_its_standby_had_done_before_is_no_step_of_it(scene):
    mine = errand(scene)
    scene.configure(autoSwitchEnabled=False, manualReplicaEnabled=True)
    scene.wait(minutes=20)
    (standby,) = scene.replicas()
    assert standby.status == "ready"
    agent_id = mine.agent_named("web-1")
    began = mine.ask(agent_id, "failover", dry_run=False)["drill"]
    lines: list[str] = []
    mine.watch(agent_id, began["id"], lines.append)
    told = [line.split() for line in lines]
    assert "granted" in {step for _, step in told}
    assert [at for at, _ in told] == sorted(at for at, _ in told)
    assert min(at for at, _ in told) >= began["createdAt"]


def test_a_plan_tells_seconds_of_what_takes_seconds_and_changes_nothing(scene):
    mine = errand(scene)
    answer = mine.ask(scene.agent().id, "failover", dry_run=True)
    move = answer["move"] | {"downtimeMinutes": 0.13, "overlapMinutes": 31.6, "overlapUsd": "0.02"}
    lines = plan_lines(answer | {"move": move})
    assert lines[0].startswith("synced move to t3.medium.us-east-1")
    assert lines[1].startswith("  nobody serves for about 8 s (")
    assert lines[2].startswith("  one instance more than now is billed for about 32 min: 0.02")
    assert lines[-1] == "Nothing was done."
    assert scene.switches() == []


def test_a_refusal_is_its_reason(scene):
    scene.configure(enabled=False)
    with pytest.raises(Failed, match="enable it first"):
        errand(scene).ask(scene.agent().id, "failover", dry_run=True)
    with pytest.raises(Failed, match="no agent 'web-9' of this client: it has web-1"):
        errand(scene).agent_named("web-9")


def test_a_server_that_is_away_for_a_while_is_waited_for_and_no_longer(scene):
    mine = errand(scene)
    agent_id = scene.agent().id
    began = mine.ask(agent_id, "failover", dry_run=False)["drill"]
    scene.world.link.away = True
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)

    lines: list[str] = []
    mine = Errand(scene.world.link, scene.world.client_token, wait, now=lambda: sum(waited))
    with pytest.raises(ServerAway):
        mine.watch(agent_id, began["id"], lines.append)
    assert sum(waited) == 120
    first, last = lines
    assert last.startswith("the server does not answer, and whether the drill goes on is not known; when it ")
    assert last.endswith(f"GET /api/client/agents/{agent_id}/drills")
    assert first == (
        "the server does not answer (the network is cut); waiting up to 120 s; whether the drill goes on is not "
        "known until it answers"
    )


def interrupted(scene, agent_id, drill_id) -> list[str]:
    """What whoever presses Ctrl-C after the first look is told."""
    lines: list[str] = []

    def impatient(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Errand(scene.world.link, scene.world.client_token, impatient).watch(agent_id, drill_id, lines.append)
    return lines


def test_who_interrupts_the_watching_is_told_that_the_drill_goes_on_and_where_its_end_stands(scene):
    agent_id = scene.agent().id
    began = errand(scene).ask(agent_id, "failover", dry_run=False)["drill"]
    lines = interrupted(scene, agent_id, began["id"])
    assert lines[-1].startswith("interrupted: the drill goes on; the agent's page of the dashboard tells")
    assert errand(scene).watch(agent_id, began["id"], lines.append)["status"] == "passed"


def test_who_interrupts_the_watching_while_the_server_is_away_is_told_that_nobody_knows(scene):
    agent_id = scene.agent().id
    began = errand(scene).ask(agent_id, "failover", dry_run=False)["drill"]
    scene.world.link.away = True
    lines = interrupted(scene, agent_id, began["id"])
    assert "whether the drill goes on is not known; when it answers, the agent's page" in lines[-1]
    assert not any("the drill goes on; " in line for line in lines)


def test_wrong_usage_is_told_before_anything_is_asked(shell, tmp_path):
    empty = tmp_path / "token"
    empty.write_text("\n")
    assert "does not hold one token" in shell.fails("drill", "web-1", "--token-file", str(empty), code=2)
    empty.write_text("sgc_x")
    words = ("drill", "web-1", "--token-file", str(empty), "--server-url", "localhost:8000")
    assert "--server-url is an address" in shell.fails(*words, code=2)
    nobody = ("drill", "web-1", "--token-file", str(empty), "--server-url", "http://127.0.0.1:1")
    missed = shell.fails(*nobody)
    assert "no answer of SpotGuard at http://127.0.0.1:1 (" in missed
    assert "spotguard server" in missed
    assert "--server-url" in missed
    assert "nothere" in shell.fails("drill", "web-1", "--token-file", str(tmp_path / "nothere"), code=2)
    empty.write_bytes(b"\xa5\x00")
    assert "does not hold one token" in shell.fails("drill", "web-1", "--token-file", str(empty), code=2)


@pytest.mark.parametrize(
    ("group", "where"),
    [("sg-1", "in sg-1 alone"), (None, "in its original's security groups, beside who serves")],
)
def test_a_plan_to_boot_a_restore_point_tells_in_which_security_group(group, where):
    restore = {
        "imageId": "ami-1",
        "imageMadeAt": "2026-03-01T12:00:00Z",
        "pool": "t3.medium.ap-south-1b",
        "usdPerHour": "0.012000",
        "mostSeconds": 2400,
        "quarantineGroup": group,
    }
    (first, *_) = plan_lines({"move": None, "restore": restore})
    assert where in first


def test_a_token_that_opens_nothing_is_told_with_the_command_that_makes_one(scene):
    stranger = Errand(scene.world.link, "sgc_of-nobody", pytest.fail)
    with pytest.raises(
        Failed,
        match=r"this token is not valid.*: is it this server's token\? .*spotguard client rotate-token",
    ):
        stranger.agent_named("web-1")
