"""What the matrices share: points are grouped, tried in labs, told as they come, and summed up in one JSON object."""

import argparse
import json
import multiprocessing
import sys
import time

from spotguard.domain.agents import Executor
from spotguard.domain.switches import MoveKind
from tests.lab.lab import Lab
from tests.lab.mains import CallsEc2

MOVE_SECONDS = 90.0


def campaign(tried, points, grouped, asked):
    """`tried(lab, group)` gives the points that were reached and what is wrong; the exit code."""
    points = _chosen(points, asked)
    if asked.list:
        sys.stdout.writelines(f"{point.name}\n" for point in points)
        return 0
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    groups = grouped(points)
    workers = [
        context.Process(target=_run, args=(tried, groups[number :: asked.labs], told, asked.ec2))
        for number in range(asked.labs)
    ]
    for worker in workers:
        worker.start()
    reached, failures = _heard(told, points, asked.labs)
    for worker in workers:
        worker.join()
    print(json.dumps({"points": len(points), "reached": reached, "failures": failures}))
    return 1 if failures else 0


def _chosen(points, asked):
    """All, or those that are asked for. A sample takes every so-manieth, so that it holds something of everything."""
    found = [point for point in points if asked.kind in (None, point.kind)]
    found = [point for point in found if asked.executor in (None, point.executor)]
    if asked.only:
        found = [point for point in found if any(part in point.name for part in asked.only)]
    if asked.sample is not None and 0 < asked.sample < len(found):
        found = [found[int(number * len(found) / asked.sample)] for number in range(asked.sample)]
    return found


def _run(tried, groups, told, calls_ec2):
    """In one lab for each executor; a lab in which something went wrong is left for a fresh one."""
    try:
        for executor in Executor:
            left = [group for group in groups if group[0].executor is executor]
            while left:
                with Lab.opened(executor=executor, calls_ec2=calls_ec2) as lab:
                    while left and _is_fine(tried, lab, left.pop(0), left, told):
                        pass
    finally:
        told.put(None)


def _is_fine(tried, lab, group, left, told):
    """Try a group and tell of each point. Of a group with a fault nothing is told: its points come alone, at once."""
    begun = time.monotonic()
    reached, found = tried(lab, group)
    if len(group) > 1 and (found or len(reached) < len(group)):
        _say(
            f"alone now: {', '.join(point.name for point in group)}: {'; '.join(found) or 'not all reached'}"
        )
        left[:0] = [[point] for point in group]
        return not found
    for point in group:
        told.put((point.name, point in reached, found, round(time.monotonic() - begun, 1)))
    return not found


def _heard(told, points, workers):
    """As it comes: how many points were reached, and what was wrong with which."""
    reached, failures, heard = 0, {}, set()
    while workers:
        news = told.get()
        if news is None:
            workers -= 1
            continue
        name, was_reached, found, seconds = news
        heard.add(name)
        reached += was_reached
        if found or not was_reached:
            failures[name] = [*found, *([] if was_reached else ["never reached"])]
        _say(f"{len(heard)}/{len(points)} {name} {seconds} s: {'; '.join(failures.get(name, ['ok']))}")
    return reached, failures | {
        point.name: ["its lab came to an end before it"] for point in points if point.name not in heard
    }


def _say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def parser(description):
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--sample", type=int, help="so many of the points, spread over all")
    made.add_argument("--kind", type=MoveKind, help="synced, volume or image")
    made.add_argument("--executor", type=Executor, help="agent or server")
    made.add_argument("--only", action="append", default=[], help="points whose name holds this; repeatable")
    made.add_argument("--labs", type=int, default=1, help="so many labs at the same time")
    made.add_argument("--list", action="store_true", help="name the points and end")
    made.add_argument(
        "--ec2", type=CallsEc2, default=CallsEc2.IN_PROCESS, help="child: agents call EC2 as shipped"
    )
    return made
