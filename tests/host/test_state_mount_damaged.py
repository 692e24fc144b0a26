"""The file that says where the state lay is damaged."""

import pytest

from spotguard.domain.errors import GateFailed
from tests.host.mounted import Machine


@pytest.mark.parametrize("how", ["first", "path"])
def test_where_it_is_not_known_any_more_where_the_state_lay_nothing_opens(tmp_path, how):
    machine = Machine(tmp_path)
    machine.fstab("UUID=1 / ext4 defaults 0 1\n")  # mounted by a script, as at its first start
    machine.mount()
    sync = machine.sync(tmp_path)
    machine.gate(sync).open(1)
    machine.unmount()  # a reboot
    kept = machine.agent / "state-mount"
    assert kept.exists(), list(machine.agent.iterdir())
    content = kept.read_bytes()
    at = 0 if how == "first" else content.index(b"/srv/web") + 1
    kept.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    gate = machine.gate(machine.sync(tmp_path))
    with pytest.raises(GateFailed):
        gate.open(1)
    assert machine.workload.epochs == []
