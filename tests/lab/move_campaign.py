"""`make move-campaign MOVES=200`: so many moves of each kind under a client that never stops writing.

    python -m tests.lab move-campaign [--moves N] [--kind K] [--executor E] [--pause SECONDS]

The client numbers its records and sends each until it is acknowledged. At the end none may be missing or doubled. The
last line is one JSON object: by kind the moves, the records, and the downtime in seconds, total, EC2's share and ours.
"""

import argparse
import json
import os
from dataclasses import replace

from spotguard.bench.lab import market
from spotguard.bench.lab.handovers import Ec2Clock, downtime_to, percentile
from spotguard.cloud.simulated.physics import fixed
from spotguard.domain.agents import Executor
from spotguard.domain.switches import MoveKind
from tests.lab import verdict
from tests.lab.lab import Lab
from tests.lab.mains import CallsEc2

MOVE_SECONDS = 120.0
SETTLE_SECONDS = 30.0
MOST_OURS_SECONDS = 1.0  # of a synced move
PHYSICS = replace(market.SHORT, visible_after_seconds=fixed(0))
KINDS = (MoveKind.SYNCED, MoveKind.VOLUME, MoveKind.IMAGE)


def campaign(kind, moves, asked):
    """The moves of one kind in a lab of its own."""
    with Lab.opened(executor=asked.executor, calls_ec2=asked.ec2, pause=asked.pause, physics=PHYSICS) as lab:
        ec2_clock = Ec2Clock(lab.wire, PHYSICS)
        found, wrong = [], []
        for number in range(moves):
            ec2_clock.spans.clear()
            switch_id = lab.moved(kind)
            lab.until(lambda moved=switch_id: lab.is_over(moved), seconds=MOVE_SECONDS)
            new = lab.switch(switch_id).new_instance_id
            found.append(
                lab.until(
                    lambda new=new: downtime_to(new, lab.acks(), ec2_clock),
                    seconds=SETTLE_SECONDS,
                    what="a record is acknowledged by the new instance",
                )
            )
            wrong += verdict.settled(lab, switch_id)
            one = found[-1]
            print(
                f"{kind} {number + 1}/{moves}: {one.total:.2f} s, ours {one.ours:.2f} s"
                f"{''.join(f'; {what}' for what in wrong[-1:])}",
                flush=True,
            )
        return _summary(lab, found, wrong)


def _summary(lab, found, wrong):
    lost, doubled = verdict.missing_and_doubled(lab)

    def seconds(values):
        return {f"p{percent}": round(percentile(values, percent), 3) for percent in (50, 99)}

    return {
        "moves": len(found),
        "acknowledged": lab.acknowledged(),
        "lost": lost,
        "doubled": doubled,
        "wrong": wrong,
        "downtime_seconds": seconds([one.total for one in found]),
        "ec2_seconds": seconds([one.ec2 for one in found]),
        "our_seconds": seconds([one.ours for one in found]),
    }


def main(arguments=None):
    asked = _parser().parse_args(arguments)
    kinds = [kind for kind in KINDS if asked.kind in (None, kind)]
    told = {kind.value: campaign(kind, asked.moves, asked) for kind in kinds}
    is_well = all(not one["lost"] and not one["doubled"] and not one["wrong"] for one in told.values())
    if MoveKind.SYNCED in told:
        is_well &= told[MoveKind.SYNCED]["our_seconds"]["p99"] <= MOST_OURS_SECONDS
    load = [round(average, 1) for average in os.getloadavg()]
    print(json.dumps({"executor": asked.executor, **told, "load_average": load, "within_limits": is_well}))
    return 0 if is_well else 1


def _parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=200, help="of each kind")
    parser.add_argument("--kind", type=MoveKind, help="synced, volume or image")
    parser.add_argument("--executor", type=Executor, default=Executor.SERVER, help="agent or server")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between two records")
    parser.add_argument(
        "--ec2", type=CallsEc2, default=CallsEc2.IN_PROCESS, help="child: agents call EC2 as shipped"
    )
    return parser
