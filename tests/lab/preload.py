"""What the lab's processes load, loaded once before they are forked: a start then costs a fork, not two seconds."""

import importlib
import pkgutil

import spotguard.agent
import spotguard.api
import spotguard.cloud.aws
import spotguard.coordinator
import spotguard.execution
import spotguard.host
import spotguard.store
import spotguard.wire

LIBRARIES = (
    "boto3",
    "uvicorn",
    "ec2_metadata",
    "httpx2",
    "stamina",
    "rich",
    "alembic",
    "uvloop",
    "httptools",
)
ROOMS = (
    spotguard.agent,
    spotguard.api,
    spotguard.cloud.aws,
    spotguard.coordinator,
    spotguard.execution,
    spotguard.host,
    spotguard.store,
    spotguard.wire,
)

for _name in LIBRARIES:
    importlib.import_module(_name)
for _room in ROOMS:
    for _module in pkgutil.walk_packages(_room.__path__, f"{_room.__name__}."):
        if ".migrations." not in _module.name:
            importlib.import_module(_module.name)
