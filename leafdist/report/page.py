"""The page of a run: its parts in the order in which a reader asks for them."""

from collections.abc import Iterator
from datetime import datetime

from leafdist.pages.pictures import Pictures
from leafdist.pages.render import Section, render, render_page
from leafdist.report.class_table import class_table
from leafdist.report.contents import Contents
from leafdist.report.curves import Curve, charts
from leafdist.report.figures import headline
from leafdist.report.gallery import gallery
from leafdist.report.matrix import matrix
from leafdist.report.reliability import reliability
from leafdist.report.settings import settings


def single(contents: Contents) -> str:
    """The whole page of one run, as HTML."""
    pictures = Pictures(contents.folder, contents.record.config.data.fit)
    confusion, photos = matrix(contents, pictures), gallery(contents, pictures)
    learning = (charts([Curve("", "main", contents)]), contents) if contents.record.epochs else None
    sections = [
        Section("learning", "Learning", "report/learning.html", learning),
        Section("confusion", "Confusion", "report/matrix.html", confusion),
        Section("classes", "Classes", "report/classes.html", class_table(contents)),
        Section("confidence", "Confidence", "report/reliability.html", reliability(contents)),
        Section("photos", "Photos", "report/gallery.html", photos),
        Section("data", "Data", "report/data.html", contents),
        Section("configuration", "Configuration", "report/settings.html", settings(contents)),
        Section("environment", "Environment and cost", "report/environment.html", contents),
    ]
    found = headline(contents) if contents.meta else None
    above = render("report/above.html", missing=[*missing(contents, pictures)], run=contents.path, headline=found)
    return render_page(contents.record.name, subtitle(contents), above, sections)


def subtitle(contents: Contents) -> str:
    """Say which network it is, how it stands and when it was started."""
    starts = contents.record.facts.starts
    when = f", started {datetime.fromisoformat(starts[0].time):%-d %B %Y}" if starts else ""
    return f"{contents.network.title}, {contents.record.state}{when}"


def missing(contents: Contents, pictures: Pictures) -> Iterator[tuple[str, str]]:
    """Yield what is not in the report, and the command that brings it, empty where there is none."""
    evaluate, split, result = f"python evaluate.py {contents.path}", contents.split, contents.evaluation
    if not contents.meta:
        yield "A best checkpoint: no epoch has ended yet.", f"cat {contents.layout.facts}"
    elif not result:
        yield "The evaluation: confusion matrix, classes, confidence, photos.", evaluate
    elif split != "test":
        yield f"The evaluation on test; what stands here is of {split}.", evaluate
    elif contents.answers is None:
        yield f"predictions-{split}.csv: photos and their probabilities.", evaluate
    if not result:
        return
    if contents.meta and result.checkpoint != contents.meta.sha256:
        yield "The evaluation of this checkpoint: what stands here is of an earlier one.", evaluate
    if not contents.folder.is_dir():
        command = f"{evaluate} --split {split.partition('@')[0]} --data ROOT"
        yield f"The photos: {contents.folder.absolute()} is not on this machine.", command
    if not contents.calibrated:
        yield "Calibrated probabilities: the photos of val were not at hand.", evaluate
    if pictures.gone and contents.folder.is_dir():
        yield f"{len(pictures.gone)} photos that should be shown cannot be read in {contents.folder}.", ""
