"""The command line: one file per command, torch imported only when a command needs it."""

import os

# Read when torch loads. By default its threads spin long while they wait for each other; where
# another process holds a core, one small operation then takes a hundred times its work. A shorter
# spin costs a fifth on an idle machine.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
