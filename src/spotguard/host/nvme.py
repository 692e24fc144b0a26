"""Under which name EC2 attached an NVMe disk: it stands in what the vendor may add to the controller's identity.

The command and its answer are those of the NVMe specification (Identify, CNS 01h) and of the kernel
(linux/nvme_ioctl.h); that EC2 lays the name there is how its own ebsnvme-id reads it (EC2 User Guide, "Amazon EBS
volumes and NVMe").
Of no real disk has this been read.
"""

from __future__ import annotations

import array
import fcntl
import os
import struct
from pathlib import Path

_ADMIN_COMMAND = 0xC0484E41  # _IOWR('N', 0x41, struct nvme_admin_cmd)
_LAYOUT = "=BBHIIIQQ10I"  # opcode … cdw3, metadata, address, two lengths, cdw10 to cdw15, timeout, result
_IDENTIFY, _CONTROLLER, _ANSWER_BYTES = 0x06, 1, 4096
_MODEL, _NAME = slice(24, 64), slice(3072, 3104)
_EBS = b"Amazon Elastic Block Store"


def attached_as(device: Path) -> str | None:
    """`sdy` or `/dev/sdy` as it was said in AttachVolume; None where that cannot be read, or it is no EBS volume."""
    answer = array.array("B", bytes(_ANSWER_BYTES))
    lengths = (0, _ANSWER_BYTES)
    asked = struct.pack(
        _LAYOUT, _IDENTIFY, 0, 0, 0, 0, 0, 0, answer.buffer_info()[0], *lengths, _CONTROLLER, *[0] * 7
    )
    try:
        handle = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.ioctl(handle, _ADMIN_COMMAND, bytearray(asked), True)
    except OSError:
        return None
    finally:
        os.close(handle)
    return name_in(answer.tobytes())


def name_in(identity: bytes) -> str | None:
    """Of an answer to Identify Controller."""
    if not identity[_MODEL].startswith(_EBS):
        return None
    return identity[_NAME].rstrip(b"\0 ").decode("ascii", "replace") or None
