"""User data of a clone: SpotGuard's note alone, or beside the owner's own where he wants them kept (E21).

Both travel as parts of one MIME message, which cloud-init takes apart (its "User-data formats: MIME archive"): the
owner's part as it was, the note as JSON, which cloud-init does not act on. Data that are not text are not kept.
"""

from __future__ import annotations

from spotguard.ports.shape import Shape, UserDataPolicy

_BOUNDARY = "==spotguard-user-data=="
_HEAD = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n--{_BOUNDARY}\n'
_NOTE = f"\n--{_BOUNDARY}\nContent-Type: application/json\n\n"
_END = f"\n--{_BOUNDARY}--\n"
_PLAIN = "Content-Type: text/plain\n\n"  # cloud-init then looks at the first line: #!, #cloud-config …
_MIME = ("content-type:", "mime-version:")
_NOT_TEXT = "\N{REPLACEMENT CHARACTER}"


def beside_the_owners(shape: Shape | None, note: str) -> str:
    """What a launch is given. The note of an earlier clone is not kept: its credential was for that one alone."""
    if shape is None or shape.user_data_policy is not UserDataPolicy.KEEP or not shape.user_data:
        return note
    owners = owners_part(shape.user_data)
    if _NOT_TEXT in owners:
        return note
    return _HEAD + ("" if owners.lower().startswith(_MIME) else _PLAIN) + owners + _NOTE + note + _END


def note_part(user_data: str) -> str:
    """The note in what `beside_the_owners` made; anything else as it is."""
    if not user_data.startswith(_HEAD):
        return user_data
    return user_data.rpartition(_NOTE)[2].removesuffix(_END)


def owners_part(user_data: str) -> str:
    if not user_data.startswith(_HEAD):
        return user_data
    return user_data.removeprefix(_HEAD).rpartition(_NOTE)[0].removeprefix(_PLAIN)
