"""The report as one page of HTML: nothing is loaded from anywhere, photos stand in it as small JPEGs."""

import base64
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path

from PIL import Image

from leafdist.data.decode import turned
from leafdist.prepare.audit.audit_report import Report
from leafdist.prepare.audit.finding import Finding

SHOWN = 24  # groups of photos a finding
TOGETHER = 4  # photos a group
SIDE = 112  # pixels, of the longer side
PICTURELESS = {"leaf ids in two classes", "unknown classes in groups", "other entries", "no leaf id", "imbalance"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2420; --soft: #5d6a63; --page: #f6f7f4; --card: #fff; --line: #dfe4de;
  --error: #b3261e; --warning: #8a5a00; --note: #2f6b4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebe6; --soft: #9aa69f; --page: #141816; --card: #1d2320;
  --line: #323a35; --error: #ff8a80; --warning: #f2be5c; --note: #86c9a6; } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
p, ul { margin: .3rem 0 } .soft, figcaption { color: var(--soft) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.1rem;
  margin: .7rem 0 }
.verdict { padding-left: 2.2rem } .verdict li { margin: .3rem 0 }
h3 { font-size: 1rem; margin: 0 } h3 b { font-weight: 600; margin-right: .5rem }
.error b { color: var(--error) } .warning b { color: var(--warning) } .note b { color: var(--note) }
.groups { display: flex; flex-wrap: wrap; gap: .8rem; margin-top: .8rem }
figure { margin: 0; padding: .4rem; border: 1px solid var(--line); border-radius: .4rem; max-width: 100% }
figure div { display: flex; gap: .3rem } img { display: block; width: 112px; height: 112px; object-fit: contain }
.gone { width: 112px; height: 112px; display: grid; place-items: center; background: var(--line); font-size: .75rem }
figcaption { font-size: .72rem; line-height: 1.35; overflow-wrap: anywhere; width: 0; min-width: 100%;
  margin-top: .3rem }
.table { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .7rem .15rem 0; text-align: right; border-bottom: 1px solid var(--line); font-weight: 400 }
th:first-child, td:first-child { text-align: left } thead th { color: var(--soft) }
td.bar { width: 30% } td.bar i { display: block; height: .6rem; border-radius: .2rem; background: var(--note) }
"""


def page(report: Report) -> str:
    """HTML of the report; the photos that are shown are read again."""
    return "\n".join(_parts(report, Path(report.root))) + "\n"


def _parts(report: Report, root: Path) -> Iterator[str]:
    title = escape(report.root)
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Audit of {title}</title>'
    yield f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>'
    yield f'<h1>Audit of {title}</h1><p class="soft">{report.headline()}; looked at in {report.seconds:.0f} s</p>'
    yield "<h2>What an accuracy on it can mean</h2>"
    yield f'<ul class="card verdict">{"".join(f"<li>{escape(line)}</li>" for line in report.verdict)}</ul>'
    yield "<h2>What was found</h2>"
    for finding in report.findings:
        yield from _finding(finding, root)
    yield from _counts(report)


def _finding(finding: Finding, root: Path) -> Iterator[str]:
    yield f'<section class="card {finding.level}"><h3><b>{finding.level}</b>{escape(finding.kind)}</h3>'
    yield f"<p>{escape(finding.text)}</p>"
    if finding.kind in PICTURELESS or not finding.files:
        names = "<br>".join(escape(" = ".join(files)) for files in finding.files[:SHOWN])
        yield f'<p class="soft">{names}</p>' if finding.files else ""
    else:
        yield '<div class="groups">'
        for place, files in enumerate(finding.files[:SHOWN]):
            yield _figure(files, finding.remarks[place] if finding.remarks else "", root)
        yield "</div>"
    if len(finding.files) > SHOWN:
        yield f'<p class="soft">and {len(finding.files) - SHOWN} more, which --json names</p>'
    yield "</section>"


def _figure(files: tuple[str, ...], remark: str, root: Path) -> str:
    pictures = "".join(_picture(root / file) for file in files[:TOGETHER])
    more = [f"and {len(files) - TOGETHER} more"] if len(files) > TOGETHER else []
    lines = [escape(line) for line in [*([remark] if remark else []), *files[:TOGETHER], *more]]
    return f"<figure><div>{pictures}</div><figcaption>{'<br>'.join(lines)}</figcaption></figure>"


def _picture(path: Path) -> str:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            upright = turned(image).convert("RGB")
        upright.thumbnail((SIDE, SIDE))
        content = io.BytesIO()
        upright.save(content, "JPEG", quality=80)
    except Exception:  # noqa: BLE001  # whatever a damaged photo raises: the finding says what
        return '<span class="gone">no picture</span>'
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="{escape(path.name)}" src="data:image/jpeg;base64,{data}">'


def _counts(report: Report) -> Iterator[str]:
    splits, largest = list(report.totals), max(sum(count.values()) for count in report.counts.values())
    yield '<h2>Photos of each class</h2><div class="card table"><table><thead><tr><th>class</th>'
    yield "".join(f"<th>{split}</th>" for split in splits if split) + "<th>all</th><th></th></tr></thead>"
    for label, count in report.counts.items():
        total = sum(count.values())
        cells = "".join(f"<td>{count[split]}</td>" for split in splits if split)
        bar = f'<td class="bar"><i style="width:{100 * total / max(largest, 1):.1f}%"></i></td>'
        yield f"<tr><td>{escape(label)}</td>{cells}<td>{total}</td>{bar}</tr>"
    yield "</table></div>"
