"""An EC2 endpoint that answers as a story says: what the AWS room sends is read, what it makes of answers is seen."""

import contextlib
import threading
from urllib.parse import parse_qsl

from spotguard.cloud.aws.cloud import AwsCloud
from spotguard.cloud.aws.connection import Account, Patience
from tests.host.servers import serving

INSTANCE = "i-0123456789abcdef0"
RUNNING = f"""<instancesSet><item><instanceId>{INSTANCE}</instanceId><imageId>ami-1</imageId>
<instanceState><code>0</code><name>pending</name></instanceState><instanceType>m5.large</instanceType>
<launchTime>2026-01-05T10:00:00.000Z</launchTime><clientToken>token-1</clientToken>
<placement><availabilityZone>us-east-1a</availabilityZone></placement>
<instanceLifecycle>spot</instanceLifecycle></item></instancesSet>"""
FOUND = f"<reservationSet><item>{RUNNING}</item></reservationSet>"
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def answer(action, inner=""):
    return 200, f'<{action}Response xmlns="{NAMESPACE}">{inner}</{action}Response>'.encode()


def refuse(code, status=400, message="because"):
    body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
    return status, body.encode()


def refuse_json(code, status=400):
    """As the price list refuses."""
    return status, {"__type": code, "message": "because"}


class Endpoint:
    """`answers[action]`: what it gives, in turn; the last one again and again. A callable is asked."""

    def __init__(self):
        self.answers = {}
        self.calls = []
        self.hold = threading.Event()

    def __call__(self, asked):
        target = asked.headers.get("X-Amz-Target", "").rpartition(".")[2]  # of the services that speak JSON
        told = {"Action": target} if target else dict(parse_qsl(asked.body.decode(), keep_blank_values=True))
        action = told["Action"]
        self.calls.append(told)
        given = self.answers[action]
        one = given.pop(0) if len(given) > 1 else given[0]
        return one() if callable(one) else one

    def never(self):
        """No answer before the client has lost its patience."""
        self.hold.wait(5)
        return refuse("TooLate")

    def asked(self, action):
        return [call for call in self.calls if call["Action"] == action]


@contextlib.contextmanager
def scripted(**answers):
    """A cloud and its endpoint; each answer is a list."""
    endpoint = Endpoint()
    endpoint.answers = answers
    with serving(endpoint) as scene:
        try:
            account = Account("us-east-1", scene.url)
            yield AwsCloud(account, Patience(connect=1, look=0.5, change=0.5)), endpoint
        finally:
            endpoint.hold.set()
