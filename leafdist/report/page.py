"""The page of a run: its parts in the order in which a reader asks for them."""

from datetime import datetime

from leafdist.pages.pictures import Pictures
from leafdist.pages.render import Section, render, render_page
from leafdist.report.bounds import macro_f1_interval
from leafdist.report.contents import Contents
from leafdist.report.curves import Curve, charts, coverage
from leafdist.report.gallery import gallery
from leafdist.report.matrix import matrix
from leafdist.report.preview import preview
from leafdist.report.settings import settings


def single(contents: Contents) -> str:
    """The whole page of one run, as HTML."""
    data = contents.record.config.data
    pictures = Pictures(contents.folder, data.fit, data.max_pixels)
    confusion, photos = matrix(contents, pictures), gallery(contents, pictures)
    learning = (charts([Curve("", "main", contents)]), contents) if contents.record.epochs else None
    result = contents.evaluation
    refusal = (contents.refusal, coverage(contents.refusal.curve)) if contents.refusal else None
    sections = [
        Section("learning", "Learning", "report/learning.html", learning),
        Section("confusion", "Confusion", "report/matrix.html", confusion),
        Section("classes", "Classes", "report/classes.html", contents if result and result.classes else None),
        Section("confidence", "Confidence", "report/reliability.html", contents if contents.calibration else None),
        Section("refusal", "Refusal", "report/refusal.html", refusal),
        Section("photos", "Photos", "report/gallery.html", photos),
        Section("augmentation", "Augmentation", "report/augmentation.html", preview(contents.record.config)),
        Section("data", "Data", "report/data.html", contents),
        Section("configuration", "Configuration", "report/settings.html", settings(contents)),
        Section("environment", "Environment and cost", "report/environment.html", contents),
    ]
    f1_interval = macro_f1_interval(result) if result else None
    above = render("report/missing.html", contents=contents, gone=len(pictures.gone))
    above += render("report/headline.html", contents=contents, f1_interval=f1_interval) if contents.meta else ""
    return render_page(contents.record.name, subtitle(contents), above, sections)


def subtitle(contents: Contents) -> str:
    """Say which network it is, how it stands and when it was started."""
    starts = contents.record.facts.starts
    began = starts[0].time if starts else None
    when = f", started {datetime.fromisoformat(began):%-d %B %Y}" if began else ""
    return f"{contents.network.title}, {contents.record.state}{when}"
