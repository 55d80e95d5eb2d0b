"""Leaf ids from files of several forms, and likeness for the photos that have none."""

from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.prepare.split import split
from tests.helpers.raw_folders import draw_raw, make_raw, sides, write_groups


def test_ids_and_likeness_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = draw_raw(tmp_path / "raw")
    for number in range(0, 40, 2):  # file numbers 0 and 3, 40 and 43, …: neighbours, though unlike
        (raw / "a" / f"p {20 * number + 20}.jpg").rename(raw / "a" / f"p {20 * number + 3}.jpg")
    ids = write_groups(tmp_path / "ids.tsv", [("b", f"p {20 * n}", f"leaf {n // 4}") for n in range(40)])
    both = ["--groups", str(ids), "--groups", "near"]
    assert main(["split", str(raw), str(tmp_path / "out"), *both]) == 0
    assert "without id 40" in capsys.readouterr().out
    side = sides(tmp_path / "out")
    assert all(side["a", f"p {40 * n}.jpg"] == side["a", f"p {40 * n + 3}.jpg"] for n in range(20)), "by number"
    assert all(side["b", f"p {80 * n}.jpg"] == side["b", f"p {80 * n + 60}.jpg"] for n in range(10)), "by leaf"
    assert main(["audit", str(tmp_path / "out"), *both]) == 0
    said = capsys.readouterr().out
    assert "across splits" not in said
    assert "are known to show leaves never seen; of the other" in said
    assert "none is a neighbour of train's by file number or likeness" in said
    assert main(["split", str(raw), str(tmp_path / "apart"), "--groups", str(ids)]) == 0
    assert main(["audit", str(tmp_path / "apart"), *both, "--strict"]) == 1
    assert "neighbours across splits" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "apart"), "--groups", str(ids)]) == 0
    assert "the leaves are not known: --groups near, beside the file" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
@pytest.mark.parametrize("ending", [False, True])
def test_leaf_ids_come_as_csv_too(tmp_path: Path, mark: str, ending: bool) -> None:
    label = "a" if mark == "\t" else f'"a{mark} b"'
    rows = [
        ("class", "stem", "leaf_id"),
        *((label, f"{n:03}{('.jpg', '.JPG')[n % 2] if ending else ''}", str(n // 4)) for n in range(20)),
    ]
    (tmp_path / "ids").write_text("\ufeff" + "".join(mark.join(row) + "\r\n" for row in rows))
    raw = make_raw(tmp_path / "raw", **{label.strip('"'): 20})
    assert split(raw, tmp_path / "out", groups=tmp_path / "ids").totals["without_id"] == 0


def test_two_files_of_ids_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", str(tmp_path), str(tmp_path / "out"), "--groups", "a.tsv", "--groups", "b.tsv"]) == 2
    assert "one file at most" in capsys.readouterr().err
