"""What a report tells beside the figures of its run: an audit's findings, a val that still rose, missing heat."""

import json
from pathlib import Path

import pytest

from leafdist.models.gradcam import grad_cam
from leafdist.report import attention
from leafdist.report.contents import Contents
from tests.helpers.report_text import text_of


def audit_json(root: str, *levels: str) -> str:
    findings = [{"kind": f"{level} kind", "level": level, "text": "2 <photos>", "files": []} for level in levels]
    return json.dumps({"format": 1, "root": root, "verdict": ["memory & more"], "findings": findings})


@pytest.mark.parametrize("where", ["run", "root", "beside"])
def test_audit_findings_stand_in_report(where: str, run: Path, tmp_path: Path) -> None:
    root = Contents(run).root.absolute()
    folder = {"run": run, "root": root, "beside": root.parent}[where]
    try:
        (folder / "audit.json").write_text(audit_json(root.name, "error", "warning", "note"))
        text = text_of(run)
    finally:
        (folder / "audit.json").unlink()
    data = text.partition('<h2 id="data">')[2]
    shown, _, folded = data.partition("<details><summary>1 note</summary>")
    assert "memory &amp; more" in shown
    assert [f"<b>{level}: {level} kind. </b>2 &lt;photos&gt;" in shown for level in ("error", "warning")] == [True] * 2
    assert "<b>note: note kind. </b>" in folded
    assert "The audit of the data found 1 error: error kind." in text.partition("<h2")[2]


@pytest.mark.parametrize(
    "content",
    [
        audit_json("other"),
        audit_json("/elsewhere/splitted"),
        audit_json("."),
        "[]",
        '{"audits": 3}',
        '{"root": "splitted"}',
    ],
)
def test_audit_of_others_is_passed_over(content: str, run: Path) -> None:
    path = Contents(run).root.absolute().parent / "audit.json"
    path.write_text(content)
    try:
        text = text_of(run)
    finally:
        path.unlink()
    assert "No audit lies beside the run or the data" in text


@pytest.mark.parametrize("advice", ["val still rose in the last epoch", None])
def test_rising_val_is_told(advice: str | None, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafdist.report.contents.still_improving", lambda record: advice)
    assert ("Val still rose in the last epoch" in text_of(run)) == bool(advice)


def test_missing_heat_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ": no heat, no part of the photo speaks for it"
    assert text_of(run).count(words) < 12
    monkeypatch.setattr(attention, "grad_cam", lambda *given: 0 * grad_cam(*given))
    assert text_of(run).count(words) == 12
