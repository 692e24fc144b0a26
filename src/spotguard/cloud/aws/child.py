"""`python -m spotguard.cloud.aws.child REGION`: EC2 for an agent, in a process that may cost memory and soon ends.

Reads questions from its input and writes answers to its output, one line each (`ports.cloud_calls`), until the input
ends. Credentials and endpoint are boto3's own matter: the instance's profile, or the environment.
"""

from __future__ import annotations

import os
import sys
from typing import IO

from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account
from spotguard.ports.cloud import Cloud
from spotguard.ports.cloud_calls import answered


def main() -> None:
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
        serve(AwsCloud(Account(sys.argv[1])), sys.stdin.buffer, answers)


def serve(cloud: Cloud, questions: IO[bytes], answers: IO[bytes]) -> None:
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
