"""A MariaDB server of our own: in a temporary folder, on a socket there and nowhere else, gone with the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

_START_TRIES = 300
_TRY_SECONDS = 0.1
_STOP_SECONDS = 30


def find_program(name: str) -> str | None:
    """Debian keeps servers in /usr/sbin, which is not on everybody's path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/libexec")


def why_absent() -> str | None:
    """The reason to skip, or None when a server can be started."""
    missing = [name for name in ("mariadbd", "mariadb-install-db") if find_program(name) is None]
    return f"no MariaDB on this machine ({', '.join(missing)} not found)" if missing else None


@contextmanager
def running_server(*more: str) -> Iterator[str]:
    """The URL of a fresh, empty server, without a database name: `mysql+pymysql://root@localhost/…`.

    `more` are options of mariadbd.
    """
    # not below pytest's folder: that is the caller's alone, and the server runs as another user
    folder = Path(tempfile.mkdtemp(prefix="spotguard-mariadb-"))
    try:
        as_user = _give_to_server(folder)
        _install(folder, as_user)
        process = subprocess.Popen(
            [find_program("mariadbd") or "mariadbd", *_options(folder, as_user), *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(process, folder)
            yield f"mysql+pymysql://root@localhost/{{name}}?unix_socket={folder / 'sock'}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


GALERA = Path("/usr/lib/galera/libgalera_smm.so")


def lonely_cluster() -> list[str]:
    """Options of a server that is a Galera cluster of one node, on loopback ports that were free."""
    ports = [_free_port() for _ in range(3)]
    provider = f"base_host=127.0.0.1;base_port={ports[0]};gmcast.listen_addr=tcp://127.0.0.1:{ports[0]}"
    return [
        "--wsrep-on=ON",
        f"--wsrep-provider={GALERA}",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-new-cluster",
        "--wsrep-node-address=127.0.0.1",
        f"--wsrep-sst-receive-address=127.0.0.1:{ports[2]}",
        f"--wsrep-provider-options={provider};ist.recv_addr=127.0.0.1:{ports[1]};gcache.size=8M",
        "--binlog-format=ROW",
        "--default-storage-engine=InnoDB",
        "--innodb-autoinc-lock-mode=2",
    ]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def create_database(url: str, name: str) -> str:
    """An empty database on the server; its URL."""
    at = url.partition("unix_socket=")[2]
    with pymysql.connect(unix_socket=at, user="root") as connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute(f"CREATE OR REPLACE DATABASE {name} CHARACTER SET utf8mb4")
    return url.format(name=name)


def _give_to_server(folder: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "mysql", "mysql")  # mariadbd refuses to run as root
    return ["--user=mysql"]


def _install(folder: Path, as_user: list[str]) -> None:
    done = subprocess.run(
        [
            find_program("mariadb-install-db") or "mariadb-install-db",
            "--no-defaults",
            *as_user,
            f"--datadir={folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=8M",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"mariadb-install-db failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _options(folder: Path, as_user: list[str]) -> list[str]:
    return [
        "--no-defaults",
        *as_user,
        f"--datadir={folder / 'data'}",
        f"--socket={folder / 'sock'}",
        f"--pid-file={folder / 'pid'}",
        f"--tmpdir={folder}",
        f"--log-error={folder / 'log'}",
        "--skip-networking",
        "--skip-log-bin",
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=8M",
        "--innodb-flush-log-at-trx-commit=0",
        "--key-buffer-size=1M",
        "--aria-pagecache-buffer-size=8M",
        "--max-connections=100",
    ]


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(_START_TRIES):
        if _takes_statements(folder / "sock"):
            return
        try:
            process.wait(_TRY_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        break
    log = folder / "log"
    raise RuntimeError(f"mariadbd did not start: {log.read_text()[-2000:] if log.exists() else 'no log'}")


def _takes_statements(at: Path) -> bool:
    """A node of a cluster answers before it does."""
    with socket.socket(socket.AF_UNIX) as knock:
        if knock.connect_ex(str(at)) != 0:
            return False
    try:
        with pymysql.connect(unix_socket=str(at), user="root") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except pymysql.err.OperationalError:
        return False
    return True
