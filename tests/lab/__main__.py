"""`python -m tests.lab COMMAND …`: the lab's campaigns, each with its own --help."""

import importlib
import sys

COMMANDS = ("crash-matrix", "fault-matrix", "move-campaign", "idle-agent")

if __name__ == "__main__":
    # Processes that are forked load the main module anew, unless it is a package's __main__: hence one door for all.
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"one of: {', '.join(COMMANDS)}")
    name = sys.argv.pop(1)
    sys.exit(importlib.import_module(f"tests.lab.{name.replace('-', '_')}").main())
