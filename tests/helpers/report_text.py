"""The text of a report, and the class names of the run that tests of reports read."""

from pathlib import Path

from leafdist.report import write as report

CLASSES = ("Apple___healthy", "Apple___scab", "Grape___black_rot", 'Pepper,_bell___<spot> & "rot"', "Grape___healthy")


def text_of(run: Path) -> str:
    """Write the report of `run`; return the page."""
    return report.write(run).read_text(encoding="utf-8")
