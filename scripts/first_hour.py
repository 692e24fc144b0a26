# ruff: noqa: INP001, T201 -- a script, not a package; printing is its job
"""Plays the first hour of docs/enrolment.md before the simulated EC2 on the wire.

The machine is a folder, the commands are the real ones in processes of their own. Needs the extra `wire`.
`.venv/bin/python scripts/first_hour.py`
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

try:
    import boto3

    from spotguard.cloud.simulated.content import Nothing
    from spotguard.cloud.simulated.ec2 import SimulatedEc2
    from spotguard.cloud.simulated.wire.server import WireServer
    from spotguard.market.synthetic import synthetic_market
except ModuleNotFoundError as error:
    sys.exit(
        f"first_hour.py: this Python ({sys.executable}) has no {error.name}: make setup, then "
        ".venv/bin/python -m pip install -e '.[wire]', then .venv/bin/python scripts/first_hour.py"
    )

SPOTGUARD = [sys.executable, "-c", "from spotguard.cli.main import app; app()"]
UNIT = "[Service]\nExecStart=/usr/bin/web\n[Install]\nWantedBy=multi-user.target\n"
WEB, WANTS = "etc/systemd/system/web.service", "etc/systemd/system/multi-user.target.wants"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAFIRSTHOUR0000000", "AWS_SECRET_ACCESS_KEY": "of-nobody"}


@dataclass
class HandClock:
    """Stands until it is moved."""

    time: datetime

    def now(self) -> datetime:
        return self.time


def main() -> None:
    clock = HandClock(datetime.now(UTC).replace(microsecond=0))
    market = synthetic_market(1, clock.time, 1)
    ec2 = SimulatedEc2(clock, 1, market.history, market.ondemand)
    with tempfile.TemporaryDirectory() as folder, WireServer(ec2) as wire:
        root = machine(Path(folder) / "root")
        with wire.exclusively():
            image = ec2.controls.add_public_image("debian", Nothing())
        az = next(pool.az for pool in market.history.pools() if pool.instance_type == "t3.medium")
        instance_id = surroundings(wire, clock, image, az)
        first_hour(wire, root, instance_id)


def machine(root: Path) -> Path:
    """A web server with a PostgreSQL of its own under its state path, and a disk mounted by its device."""
    for name, text in {
        WEB: UNIT,
        "etc/fstab": "UUID=8f1 / ext4 defaults 0 1\n/dev/nvme1n1 /srv ext4 defaults 0 2\n",
        "srv/web/db/PG_VERSION": "15\n",
        "srv/web/db/postmaster.pid": "812\n",
        "root/token": "sgc_shown-once-by-client-create\n",
        "usr/bin/spotguard": "#!/bin/sh\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "usr/bin/spotguard").chmod(0o755)
    (root / "var/lib").mkdir(parents=True)
    link = root / WANTS / "web.service"
    link.parent.mkdir()
    link.symlink_to("/etc/systemd/system/web.service")
    return root


def surroundings(wire: WireServer, clock: HandClock, image: str, az: str) -> str:
    """An on-demand instance that an alarm watches, a target group sends to and a rule lets in by its address."""

    def client(service: str) -> Any:
        keys = dict(zip(("aws_access_key_id", "aws_secret_access_key"), CREDENTIALS.values(), strict=True))
        return boto3.client(service, endpoint_url=wire.url, region_name=wire.account.ec2.region, **keys)

    ec2 = client("ec2")
    asked = {"ImageId": image, "InstanceType": "t3.medium", "MinCount": 1, "MaxCount": 1}
    made = ec2.run_instances(**asked, Placement={"AvailabilityZone": az})["Instances"][0]
    instance_id = str(made["InstanceId"])
    clock.time += timedelta(minutes=10)
    client("cloudwatch").put_metric_alarm(
        AlarmName="web-is-down",
        Namespace="AWS/EC2",
        MetricName="StatusCheckFailed",
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        AlarmActions=[f"arn:aws:automate:{wire.account.ec2.region}:ec2:recover"],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    balancing = client("elbv2")
    group = balancing.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=made["VpcId"])
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance_id}])
    rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432}
    ec2.authorize_security_group_ingress(
        GroupId=made["SecurityGroups"][0]["GroupId"],
        IpPermissions=[{**rule, "IpRanges": [{"CidrIp": f"{made['PrivateIpAddress']}/32"}]}],
    )
    return instance_id


def first_hour(wire: WireServer, root: Path, instance_id: str) -> None:
    told = ["--unit", "web.service", "--state-path", "/srv/web"]
    there = ["--root", str(root), "--metadata-url", wire.imds_url(instance_id), "--endpoint-url", wire.url]
    wish = ["--server-url", "https://spotguard.example", "--name", "web-1"]
    token = ["--token-file", str(root / "root/token"), "--program", "/usr/bin/spotguard"]
    red = ["--accept-red", "no-database-is-copied-as-files"]
    play(["agent", "install", *told, "--report-only"], there)
    play(["agent", "install", *told, *wish, *red, "--yes"], [*token, *there], show_from="This will")
    play(["agent", "install", *told, *wish, *red, "--yes"], [*token, *there], show_from="Everything")
    play(["agent", "uninstall", "--yes"], there[:2])
    database = ["--database-url", f"sqlite:///{root}/spotguard.db"]
    play(["db", "upgrade"], database)
    region = wire.account.ec2.region
    run([*SPOTGUARD, "client", "create", "acme", "--executor", "server", "--region", region, *database])
    play(["doctor"], [*database, "--endpoint-url", wire.url])


def play(words: list[str], hidden: list[str], *, show_from: str = "") -> None:
    """`hidden` are the options that stand for the real machine and the real AWS."""
    done = run([*SPOTGUARD, *words, *hidden])
    print(f"$ spotguard {' '.join(words)}")
    print((done.stdout + done.stderr)[max(0, (done.stdout + done.stderr).find(show_from)) :].rstrip())
    print(f"[exit {done.returncode}]\n")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **CREDENTIALS, "COLUMNS": "118"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
