"""report.html of a run: one page for people."""
