"""The error tree; each error tells its catcher what to do next.

SpotGuardError
├── InvalidInput          refuse it: it came from outside and is wrong; nothing was applied
│   └── BadSetting        whoever started the program has to mend a flag, a variable or a file
├── Refused               a rule says no: show `because`, change nothing
├── NotFound              there is no such thing in this tenant
├── IllegalMove           a bug or a lost race: look again before doing anything
└── CloudError            EC2 did not do it
    ├── PoolDry           this pool cannot: next pool, new token
    ├── QuotaReached      no pool of this class can: on-demand if its quota allows; tell a person
    ├── Throttled         the same call, same token, later
    ├── NeedsPerson       configuration or permission: never retry by yourself
    ├── NotVisible        EC2 does not know the id (yet, or any more): proves nothing by itself
    ├── TokenMismatch     this token was used with other parameters: resolve the former attempt first
    └── Doubtful          no answer or 5xx: look up by token and tag before doing anything again
"""

from __future__ import annotations


class SpotGuardError(Exception):
    """Anything that SpotGuard itself raises."""


class InvalidInput(SpotGuardError):
    """What came from outside is wrong; nothing was applied."""


class BadSetting(InvalidInput):
    """A flag, a variable or a line of the settings file is wrong: whoever started the program has to mend it."""


class Refused(SpotGuardError):
    """A rule says no; the message says which rule and what to do."""


class NotFound(SpotGuardError):
    """There is no such thing in this tenant."""


class IllegalMove(SpotGuardError):
    """A life was asked to make a step that it does not have."""


class CloudError(SpotGuardError):
    """EC2 did not do it. `code` is EC2's own error code."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.detail = message


WITHOUT_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
)  # codes: nothing was sent, for want of anything to sign with


class PoolDry(CloudError):
    """This pool cannot take the launch: try the next pool with a new token."""


class QuotaReached(CloudError):
    """The account's limit for this class: no other pool of the class helps; tell a person."""


class Throttled(CloudError):
    """Too many calls: the same call with the same token, later."""


class NeedsPerson(CloudError):
    """Configuration or permission: never retried by us."""


class NotVisible(CloudError):
    """EC2 does not know the id: just made, or long gone. Proves nothing by itself."""


class TokenMismatch(CloudError):
    """The token was used with other parameters."""


class Doubtful(CloudError):
    """The call may or may not have worked: look up by token and tag."""


class ServerAway(SpotGuardError):
    """The control plane did not answer: keep the report, serve on, try later."""


class MetadataUnavailable(SpotGuardError):
    """The instance metadata service did not answer: ask again on the next poll, never give up."""


class SyncFailed(SpotGuardError):
    """A state-sync pass did not complete: the target keeps its last complete pass."""


class StateMissing(SyncFailed):
    """What lies where the state was is not the state: nothing is sent until a person has mended it."""


class GateFailed(SpotGuardError):
    """The user's workload could not be started or stopped as asked."""


class StartFailed(GateFailed):
    """It was started on the state that belongs here, and does not run: not yet, or not at all."""


class SalvageFailed(SpotGuardError):
    """The copy of a dead holder's volume could not be read; the volume stays as it is, for a person."""


class QuiesceFailed(SpotGuardError):
    """The user's quiesce or thaw hook failed: an image made now would not be what they asked for."""
