"""A service manager that stands on a folder: it knows the units that were there when it last read the files."""

from spotguard.domain.errors import GateFailed
from spotguard.host.boot_links import unit_file
from tests.host.roots import Root


class Manager:
    """Keeps systemd's promises as far as `ports.units.Units` names them."""

    def __init__(self, root: Root, *, triggers=None, stops=None):
        """Both: unit → units."""
        self._root, self._triggers, self._stops = root, triggers or {}, stops or {}
        self.running: set[str] = set()
        self._known: set[str] = set()
        self.reload()

    def triggered_by(self, unit):
        return self._triggers.get(unit, ())

    def stopped_with(self, unit):
        return self._stops.get(unit, ())

    def reload(self):
        self._known = {path.name for path in self._root.path.glob("**/systemd/system/*.service")}

    def start(self, unit):
        if unit not in self._known or unit_file(self._root.path, unit) is None:
            raise GateFailed(f"Unit {unit} not found.")
        self.running.add(unit)

    def stop(self, unit):
        self.running.discard(unit)

    def runs(self, unit):
        return unit in self.running
