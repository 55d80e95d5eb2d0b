"""The subcommands of `leafdist`, a module each group: its parsers, and the functions that they run."""
