"""The command line: one file per command, torch imported only when a command needs it."""

import os

# Read when torch loads. By default its threads spin while they wait for each other; where another
# process holds a core, one small operation then takes milliseconds, a hundred times its work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
