"""A summary as one page of HTML that loads nothing."""

from leafdist.compare.summary import Summary
from leafdist.compare.summary_text import NAMES
from leafdist.pages.render import Section, render_page
from leafdist.pages.words import many


def page(summary: Summary) -> str:
    """The summary as HTML: all answers together, the runs and their spread, the classes."""
    value = {"summary": summary, "pooled": summary.pooled, "names": NAMES}
    sections = [
        Section("together", "All answers together", "summary/together.html", value),
        Section("runs", "Runs", "summary/runs.html", value),
        Section("classes", "Classes", "summary/classes.html", value),
    ]
    pooled = summary.pooled
    below = f"on {summary.split}: {many(pooled.answers, 'answer')} on {many(pooled.photos, 'photo')}"
    return render_page(f"{many(len(summary.runs), 'run')} as one result", below, "", sections)
