"""What may be changed on a machine to enrol it or to leave it clean: each a value that says in words what it does."""

from __future__ import annotations

from dataclasses import dataclass, field

AGENT_UNIT = "spotguard-agent.service"
ASIDE = ".before-spotguard"


@dataclass(frozen=True)
class Link:
    """A symbolic link as it stands: its path, and what it says."""

    path: str
    target: str


@dataclass(frozen=True)
class MakeFolder:
    """With the mode that it gets."""

    path: str
    mode: int

    def __str__(self) -> str:
        return f"make the folder {self.path}"


@dataclass(frozen=True)
class SetAside:
    """What stood under one of our names."""

    path: str

    def __str__(self) -> str:
        return f"set {self.path} aside as {self.path}{ASIDE}"


@dataclass(frozen=True)
class WriteFile:
    """Whole or not at all; of its mode from the first byte on."""

    path: str
    mode: int
    content: str = field(repr=False)

    def __str__(self) -> str:
        return f"write {self.path} ({self.mode:o})"


@dataclass(frozen=True)
class TakeLinkAway:
    """A link that starts the workload's unit at boot."""

    link: Link

    def __str__(self) -> str:
        return f"remove {self.link.path}, so that only the agent starts the workload; it is not stopped now"


@dataclass(frozen=True)
class MakeLink:
    """One that is there is left as it is."""

    link: Link

    def __str__(self) -> str:
        return f"link {self.link.path} to {self.link.target}"


@dataclass(frozen=True)
class RemoveFile:
    """One of ours."""

    path: str

    def __str__(self) -> str:
        return f"delete {self.path}"


@dataclass(frozen=True)
class BringBack:
    """What was set aside; it replaces ours."""

    path: str

    def __str__(self) -> str:
        return f"bring {self.path} back as it was"


@dataclass(frozen=True)
class RemoveTree:
    """A folder of the agent's own."""

    path: str

    def __str__(self) -> str:
        return f"delete {self.path} and all that is in it"


@dataclass(frozen=True)
class RemoveFolder:
    """A folder that installing made."""

    path: str

    def __str__(self) -> str:
        return f"delete the folder {self.path}, if it is empty"


@dataclass(frozen=True)
class Reload:
    """After files of units have changed."""

    def __str__(self) -> str:
        return "let systemd read its files again"


@dataclass(frozen=True)
class StartAgent:
    """Anew, when it runs."""

    def __str__(self) -> str:
        return f"start {AGENT_UNIT}"


@dataclass(frozen=True)
class StopAgent:
    """Before its files go."""

    def __str__(self) -> str:
        return f"stop {AGENT_UNIT}; the workload is left as it is"


Action = (
    MakeFolder
    | SetAside
    | WriteFile
    | TakeLinkAway
    | MakeLink
    | RemoveFile
    | BringBack
    | RemoveTree
    | RemoveFolder
    | Reload
    | StartAgent
    | StopAgent
)
