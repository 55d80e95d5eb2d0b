"""Exit statuses of the programs. Launchers turn all but the first into 1."""

DONE, WRONG, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 75
STOPPED = 130  # by Ctrl-C, as a shell says it
