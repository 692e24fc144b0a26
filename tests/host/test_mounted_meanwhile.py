"""The volume of a standby's inbox is mounted while a pass arrives there, with real rsync from folder to folder.

In place of a mount another folder takes the name: each run of rsync resolves it anew, as it would there.
"""

import shutil
from dataclasses import dataclass

import pytest

from spotguard.domain.errors import SyncFailed
from spotguard.host.rsync import RsyncSync
from spotguard.host.term import Term
from spotguard.host.transport import RsyncTransport
from tests.host.copying import settle, whole_pass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

BEFORE_CHANGED, BEFORE_MARK = "--files-from=-", ".whole"


class Standby:
    """`srv` holds its state and its inbox, while it is `mounted`."""

    def __init__(self, tmp_path):
        self.srv, self.volume, self.bare = (tmp_path / name for name in ("srv", "volume", "bare"))
        self.srv.mkdir()

    def unmount(self):
        self.srv.rename(self.volume)
        self.srv.mkdir()

    def mount(self):
        self.srv.rename(self.bare)
        self.volume.rename(self.srv)

    def sync(self):
        return RsyncSync(self.srv / "web", self.srv / "inbox", RsyncTransport("unused"))


@dataclass(frozen=True)
class Mounting(RsyncTransport):
    """The standby's volume is mounted right before the first run of which an argument ends with `before`."""

    standby: Standby | None = None
    before: str = ""

    def start(self, arguments, *streams):
        if self.standby.volume.exists() and any(word.endswith(self.before) for word in arguments):
            self.standby.mount()
        return super().start(arguments, *streams)


class Primary:
    def __init__(self, tmp_path, standby):
        self.state, self._standby, self._own = tmp_path / "primary", standby, tmp_path / "primary-inbox"
        self.runs = True
        (self.state / "sub").mkdir(parents=True)
        for name in ("a", "sub/b"):
            (self.state / name).write_text("acknowledged")

    def pass_arrives(self, before=BEFORE_MARK):
        transport = Mounting(str(self._standby.srv / "inbox"), standby=self._standby, before=before)
        sync = RsyncSync(self.state, self._own, transport, Term(lambda: 1, lambda: self.runs))
        sync.adopt(1)
        settle()
        return whole_pass(sync)


@pytest.fixture
def standby(tmp_path):
    return Standby(tmp_path)


@pytest.fixture
def primary(tmp_path, standby):
    return Primary(tmp_path, standby)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("writes", [True, False], ids=["it writes meanwhile", "it is stopped"])
def test_the_first_pass_of_a_volume_that_comes_in_its_midst_is_none(primary, standby, writes):
    standby.unmount()
    primary.runs = writes
    with pytest.raises(SyncFailed):
        primary.pass_arrives(BEFORE_CHANGED)
    assert standby.sync().received().position is None
    primary.pass_arrives()
    assert standby.sync().adopt(2) is not None
    assert files_in(standby.srv / "web") == ["a", "sub/b"]


@pytest.mark.parametrize("writes", [True, False], ids=["it has written", "nothing has changed"])
def test_a_pass_in_whose_midst_a_volume_with_passes_comes_breaks(primary, standby, writes):
    """Else what was written in the last seconds would be all of it, and take the place of a good one."""
    primary.runs = False
    before = primary.pass_arrives()
    standby.unmount()
    if writes:
        (primary.state / "a").write_text("acknowledged since")
    with pytest.raises(SyncFailed):
        primary.pass_arrives(BEFORE_CHANGED)
    assert standby.sync().received().position == before.position
    primary.pass_arrives()
    standby.sync().adopt(2)
    assert (standby.srv / "web/a").read_text() == (primary.state / "a").read_text()
    assert files_in(standby.srv / "web") == ["a", "sub/b"]


def test_a_mark_without_its_pass_hides_no_pass_and_none_is_deleted_for_it(primary, standby):
    before = primary.pass_arrives()
    standby.unmount()
    primary.pass_arrives(BEFORE_MARK)
    marks = list((standby.srv / "inbox/marks").glob("*.whole"))
    assert (len(marks), len(list((standby.srv / "inbox/passes").iterdir()))) == (2, 1)
    assert standby.sync().received().position == before.position
    assert standby.sync().adopt(0) is None, "a start that takes none over, and clears up"
    assert standby.sync().adopt(2) is not None
    assert files_in(standby.srv / "web") == ["a", "sub/b"]
