"""AWS as the wire sees it: EC2 from the simulator, everything else from moto."""

from __future__ import annotations

import re
from typing import Any

from moto.core.request import Request as MotoRequest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from spotguard.cloud.simulated.wire import pricing, quotas
from spotguard.cloud.simulated.wire.account import Account
from spotguard.cloud.simulated.wire.ec2 import Ec2OnTheWire
from spotguard.cloud.simulated.wire.errors import LOST, error_body, status_of
from spotguard.cloud.simulated.wire.exchange import Reply, Request
from spotguard.cloud.simulated.wire.faults import Call
from spotguard.domain.errors import CloudError, Doubtful

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
_MOVES_ADDRESSES = frozenset({"AssociateAddress", "DisassociateAddress", "ReleaseAddress"})
_ROUTE53 = (
    ("POST", re.compile(r"/2013-04-01/hostedzone/[^/]+/rrset/?"), "ChangeResourceRecordSets"),
    ("GET", re.compile(r"/2013-04-01/hostedzone/[^/]+/rrset/?"), "ListResourceRecordSets"),
    ("GET", re.compile(r"/2013-04-01/change/.+"), "GetChange"),
    ("GET", re.compile(r"/2013-04-01/hostedzone/?"), "ListHostedZones"),
)


class _ServerRequest(MotoRequest):
    from_wsgi_server = True


class Aws:
    """One account's API in one region."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._moto = DomainDispatcherApplication(create_backend_app)

    def call_of(self, request: Request) -> Call:
        """The call's own name: from the form, or for Route 53 from method and path."""
        found = _CREDENTIAL.search(request.header("Authorization"))
        access_key, _, service = found.groups() if found else ("", "", "")
        form = request.form()
        action = form.get("Action") or _target(request) or _rest_action(request)
        return Call(service, action, form, access_key)

    def answer(self, request: Request, call: Call) -> Reply | None:
        """The answer; None when it is lost. The caller holds the lock."""
        request.environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.account.number
        self.account.catch_up()
        if call.service == "pricing":
            return pricing.answer(self.account.ec2, request)
        if call.service == "servicequotas":
            return quotas.answer(self.account.ec2, request)
        if call.service != "ec2":
            return self._from_moto(request.environ)
        reply = self._from_ec2(request.environ)
        if call.action in _MOVES_ADDRESSES:
            self.account.tell_addresses()
        return reply

    def _from_ec2(self, environ: dict[str, Any]) -> Reply | None:
        try:
            status, headers, body = Ec2OnTheWire(self.account).answer(_ServerRequest(environ))
        except Doubtful as lost:
            return None if lost.code == LOST else _refused(lost)
        except CloudError as refusal:
            return _refused(refusal)
        except NotImplementedError as absent:
            return Reply(400, error_body("ec2", "InvalidAction", str(absent)))
        kept = {
            name: value for name, value in headers.items() if name.lower() not in {"status", "content-type"}
        }
        return Reply(int(status), body.encode() if isinstance(body, str) else body, headers=kept)

    def _from_moto(self, environ: dict[str, Any]) -> Reply:
        told: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            told["status"], told["headers"] = status, headers

        body = b"".join(self._moto(environ, start_response))
        headers = {name: value for name, value in told["headers"] if name.lower() != "content-length"}
        content_type = headers.pop("Content-Type", "text/xml")
        return Reply(int(told["status"].split()[0]), body, content_type, headers)


def _refused(refusal: CloudError) -> Reply:
    body = error_body("ec2", refusal.code, refusal.detail or refusal.code)
    return Reply(status_of(refusal.code), body)


def _target(request: Request) -> str:
    """JSON protocols name the call in a header."""
    return request.header("X-Amz-Target").rpartition(".")[2]


def _rest_action(request: Request) -> str:
    for method, path, action in _ROUTE53:
        if request.method == method and path.fullmatch(request.path):
            return action
    return f"{request.method} {request.path}"
