"""`spotguard server`: it ends at once and cleanly, and says in one line why it cannot begin."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

COMMAND = [sys.executable, "-c", "from spotguard.cli.entry import main; main()"]


def test_an_address_that_cannot_be_had_is_one_line_and_touches_no_database(new_shell, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = new_shell.fails("server", "--port", port)
    assert told == f"spotguard: cannot listen on 127.0.0.1:{port}: it is in use: choose another with --port"
    assert "in use" not in new_shell.fails("server", "--host", "nosuch.invalid")
    assert list(tmp_path.iterdir()) == []


def test_a_public_url_is_one(new_shell, monkeypatch):
    monkeypatch.setenv("SPOTGUARD_PUBLIC_URL", "foo")
    assert "SPOTGUARD_PUBLIC_URL: " in new_shell.fails("server", code=2)


class Server:
    """The real process; `lines` are what it logged, each one JSON object."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'x.db'}"
        self.environment = os.environ | {
            "SPOTGUARD_DATABASE_URL": url,
            "SPOTGUARD_PUBLIC_URL": "http://x.example",
        }
        made = subprocess.run(
            [*COMMAND, "db", "upgrade"], env=self.environment, check=True, stdout=subprocess.DEVNULL
        )
        assert made.returncode == 0
        created = subprocess.run(
            [*COMMAND, "client", "create", "Acme", "--json"],
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
        )
        self.token = json.loads(created.stdout)["token"]
        self.process = subprocess.Popen(
            [*COMMAND, "server", "--port", "0"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.lines = [json.loads(self.process.stderr.readline())]
        self.address = f"http://{self.lines[0]['address']}"

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        out, said = self.process.communicate(timeout=60)
        assert out == "", "logs go to one place"
        self.lines += [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def register(server: Server) -> dict[str, str]:
    said = {
        "logical_agent_id": "web",
        "instance_id": "i-0123456789abcdef0",
        "instance_type": "t3.medium",
        "region": "ap-south-1",
        "az": "ap-south-1a",
        "mode": "spot",
        "agent_version": "1",
        "hostname": "h",
        "private_ip": "10.0.0.1",
        "boot_id": "b",
    }
    head = {"Authorization": f"Bearer {server.token}"}
    answer = httpx2.post(f"{server.address}/api/agents/register", json=said, headers=head, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()


def wait_until_both_wait(server: Server) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = httpx2.get(f"{server.address}/metrics", timeout=30).text.splitlines()
        if {"spotguard_long_polls 1.0", "spotguard_event_streams 1.0"} <= set(lines):
            return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_whoever_waits_is_answered_when_it_ends(server):
    """A long poll and an event stream are open; the server is told to end."""
    agent, ends = register(server), {}

    def poll() -> None:
        head = {"Authorization": f"Bearer {agent['agent_token']}"}
        url = f"{server.address}/api/agents/{agent['agent_id']}/pending-commands?wait=25"
        ends["poll"] = httpx2.get(url, headers=head, timeout=60).json()["commands"]

    def read() -> None:
        head = {"Authorization": f"Bearer {server.token}"}
        with httpx2.stream("GET", f"{server.address}/api/client/stream", headers=head, timeout=60) as stream:
            ends["stream"] = b"".join(stream.iter_bytes())  # raises where the connection is cut in a chunk

    threads = [threading.Thread(target=work) for work in (poll, read)]
    for thread in threads:
        thread.start()
    wait_until_both_wait(server)
    server.end()
    for thread in threads:
        thread.join(30)
    assert server.process.returncode == 0
    assert (ends["poll"], ends["stream"].startswith(b"retry:")) == ([], True)
    assert not [line for line in server.lines if "exception" in line or line["level"] == "error"]
    assert all("timestamp" in line for line in server.lines)
    assert server.lines[-1]["event"] == "ended"
