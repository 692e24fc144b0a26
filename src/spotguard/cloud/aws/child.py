"""`python -m spotguard.cloud.aws.child REGION`: AWS for an agent, in a process that may cost memory and soon ends.

Reads questions from its input and writes answers to its output, one line each (`ports.cloud_calls`), until the input
ends. Credentials and endpoint are boto3's own matter: the instance's profile, or the environment.
"""

from __future__ import annotations

import os
import sys
from typing import IO

from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.cloud.aws.traffic import AwsTraffic
from spotguard.ports.cloud_calls import answered
from spotguard.ports.route_calls import CallsOfTraffic


def main() -> None:
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
        serve(AwsPorts(Account(sys.argv[1])), sys.stdin.buffer, answers)


class AwsPorts(AwsCloud, CallsOfTraffic):
    """Both ports of one account, under one roof."""

    def __init__(self, account: Account) -> None:
        AwsCloud.__init__(self, account)
        CallsOfTraffic.__init__(self, AwsTraffic(account))


def serve(cloud: object, questions: IO[bytes], answers: IO[bytes]) -> None:
    """Until there are no more questions, or nobody listens any more."""
    for line in questions:
        answer = answered(cloud, line)
        try:
            answers.write(answer)
            answers.flush()
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
