"""Where units stand, and the links that start them at boot (systemd.unit(5), "Unit File Load Path").

A unit that is enabled is a link in a folder `….wants` or `….requires`. Links of /etc and /run are the administrator's
and may be taken away and put back; those of /usr belong to packages.
"""

from __future__ import annotations

from pathlib import Path

from spotguard.planning.machine_changes import Link

OWN = ("etc/systemd/system", "run/systemd/system")
VENDORS = (
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
_PULLING = ("Wants", "Requires", "BindsTo", "Upholds")
_STARTING = ("*.wants", "*.requires", "*.upholds")


def unit_file(root: Path, unit: str) -> Path | None:
    """The file that counts, or its template's."""
    name, at, suffix = unit.partition("@")
    template = f"{name}@.{suffix.rpartition('.')[2]}" if at else unit
    return next(
        (
            root / folder / file
            for file in dict.fromkeys((unit, template))
            for folder in (*OWN, *VENDORS)
            if (root / folder / file).is_file()
        ),
        None,
    )


def own_links(root: Path, unit: str) -> tuple[Link, ...]:
    """The administrator's links that start it."""
    return tuple(Link(_inside(root, path), str(path.readlink())) for path in _links(root, OWN, unit))


def vendor_links(root: Path, unit: str) -> tuple[str, ...]:
    """Links of packages and generators that start it; /lib is often /usr/lib."""
    found = {path.parent.resolve() / path.name: path for path in _links(root, VENDORS, unit)}
    return tuple(_inside(root, path) for path in found.values())


def _links(root: Path, folders: tuple[str, ...], unit: str) -> list[Path]:
    found = [group / unit for folder in folders for kind in _STARTING for group in (root / folder).glob(kind)]
    return sorted(path for path in found if path.is_symlink())


def named_in(root: Path, unit: str) -> tuple[str, ...]:
    """The units whose own files, or what was dropped in beside them, have it started with them (systemd.unit(5))."""
    files = (
        path
        for folder in (*OWN, *VENDORS)
        for pattern in ("*.*", "*.d/*.conf")
        for path in (root / folder).glob(pattern)
        if path.is_file() and not path.is_symlink()
    )
    found = (_unit_of(path) for path in files if unit in _started_by(path.read_text(errors="replace")))
    return tuple(sorted(set(found) - {unit}))


def _unit_of(path: Path) -> str:
    return path.parent.name.removesuffix(".d") if path.suffix == ".conf" else path.name


def _started_by(text: str) -> set[str]:
    """The units that this file's unit starts: the names after Wants= and its like, on continued lines, too."""
    lines = (line.partition("=") for line in text.replace("\\\n", " ").splitlines())
    return {name for key, _, names in lines if key.strip() in _PULLING for name in names.split()}


def take_away(root: Path, link: Link) -> None:
    """Its folder stays, even empty: it means nothing then."""
    (root / link.path.lstrip("/")).unlink(missing_ok=True)


def put_back(root: Path, link: Link) -> None:
    """As it stood; one that is there again is left."""
    path = root / link.path.lstrip("/")
    if not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(link.target)


def _inside(root: Path, path: Path) -> str:
    return f"/{path.relative_to(root)}"
