"""labels.tsv beside a split: photos of train and val move or go, and whoever resumes is told."""

import os
import shutil
from pathlib import Path

import pytest

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, DataConfig, ModelConfig
from leafdist.data.index import Index, scan
from leafdist.data.kept_index import open_index
from leafdist.data.labels import NAME, read_labels
from leafdist.data.open import origin
from leafdist.data.photo_facts import DataFacts, SplitFacts
from leafdist.data.stage import stage
from leafdist.distributed.runtime import Runtime
from leafdist.evaluation.other_photos import is_own
from leafdist.prepare.split import split
from leafdist.runs.facts import RunFacts, write_facts
from leafdist.runs.folder import RunFolder, check_run
from tests.helpers.photos import CLASSES

A, B, C = CLASSES
MOVED, DROPPED, KEPT = f"train/{A}/001.png", f"val/{B}/002.png", f"train/{C}/000.png"
ROWS = [(MOVED, "move", B), (DROPPED, "drop", A), (KEPT, "keep", B), (f"test/{A}/000.png", "drop", "")]


def write(root: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Names recur between the splits of `photos`, so paths name the split."""
    lines = ["comment\tpath\taction\tclass", *("\t".join(("why", *row)) for row in rows)]
    (root / NAME).write_text("\n".join(lines) + "\n")
    return root / NAME


def labelled(index: Index) -> dict[str, str]:
    return {name: index.classes[label] for name, label in zip(index.names, index.labels, strict=True)}


def test_train_and_val_obey_labels(photos: Path) -> None:
    before = {name: scan(photos, name) for name in ("train", "val", "test")}
    write(photos, ROWS)
    after = {name: scan(photos, name) for name in before}
    expected = {name: labelled(index) for name, index in before.items()}
    expected["train"][f"{A}/001.png"] = B
    del expected["val"][f"{B}/002.png"]
    assert {name: labelled(index) for name, index in after.items()} == expected
    assert after["val"].dropped == (f"{B}/002.png",)
    assert after["train"].stamp == before["train"].stamp, "the pack of a moved photo is as good as before"
    digests = {index.digest for index in (*before.values(), *after.values())}
    assert len(digests) == 5
    write(photos, [(MOVED, "move", C), *ROWS[1:]])
    assert scan(photos, "train").digest not in digests
    write(photos, ROWS[2:])
    assert scan(photos, "train").digest == before["train"].digest, "nothing is other than before"


def test_rows_of_absent_splits_pass(photos: Path) -> None:
    """Whoever only evaluates may lack train; a row that names no photo of a split that is here is still an error."""
    write(photos, ROWS)
    (photos / "train").rename(photos / "elsewhere")
    assert scan(photos, "val").dropped == (f"{B}/002.png",)
    write(photos, [(f"val/{B}/999.png", "drop", "")])
    with pytest.raises(ValueError, match="holds no photo"):
        scan(photos, "val")


def test_val_of_fewer_classes_passes(photos: Path) -> None:
    """As in a root of data.extra: whether a row of train names a class is not for val to say."""
    shutil.rmtree(photos / "val" / C)
    write(photos, [(f"train/{A}/001.png", "move", C)])
    assert len(scan(photos, "val", [A, B])) == 6
    write(photos, [(f"val/{A}/001.png", "move", C)])
    with pytest.raises(ValueError, match="which is no class here"):
        scan(photos, "val", [A, B])


def test_labels_beside_folds_are_refused(photos: Path) -> None:
    fold = photos.rename(photos.parent / "fold-0")
    write(fold.parent, ROWS)
    with pytest.raises(ValueError, match=r"each fold has labels of its own. Copy the file to .*fold-0"):
        scan(fold, "train")
    shutil.copy(fold.parent / "labels.tsv", fold)
    for part in ("train", "val", "test"):
        scan(fold, part)


def test_labels_keep_photos_the_runs(photos: Path, tmp_path: Path) -> None:
    """Of a run that was trained before labels.tsv was written."""
    digest = scan(photos, "val").digest
    write_facts(tmp_path, RunFacts(data={"val": SplitFacts(9, digest)}))
    write(photos, ROWS)
    data = resolve(Config(data=DataConfig(root=str(photos)), model=ModelConfig(name="baseline"))).data
    assert is_own(tmp_path, data, Runtime())
    (photos / "labels.tsv").write_text("path\taction\nRose/absent.png\tdrop\n")
    assert is_own(tmp_path, data, Runtime()), "by the photos as they lie"


def test_kept_index_obeys_and_says(photos: Path) -> None:
    for folder in (photos / "train").iterdir():
        os.utime(folder, (1, 1))
    before = open_index(photos, "train", None, photos / "cache")
    file = write(photos, [*ROWS, (f"train/{A}/002.png", "drop", "")])
    said: list[str] = []
    after = open_index(photos, "train", None, photos / "cache", said.append)
    assert labelled(after) == labelled(scan(photos, "train")) != labelled(before)
    assert said == [
        f"{file}: skipped 1 row of test, which is judged as it lies",
        f"{file}: 1 photo of train moved to another class, 1 dropped",
    ]


def test_resuming_with_other_labels_is_refused(photos: Path, tmp_path: Path) -> None:
    config = resolve(Config())

    def start() -> None:
        index = scan(photos, "train")
        facts = DataFacts(list(index.classes), {"train": SplitFacts(len(index), index.digest)})
        check_run(tmp_path / "run", config, facts)
        RunFolder(tmp_path / "run", config, facts).start(1, "cpu", 0)

    start()
    write(photos, ROWS[2:])
    start()
    write(photos, ROWS)
    with pytest.raises(ValueError, match="train: 17 photos -> as many, with other names, sizes or labels"):
        start()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(MOVED, "remove", "")], r"labels\.tsv, line 2: the action of .*'remove': it must be keep, move, drop"),
        ([(KEPT, "keep", ""), (MOVED, "move", "")], "line 3: .* to no class. Write its class"),
        ([(MOVED, "move", "Rust")], "line 2: .* is moved to 'Rust', which is no class here. Name one of Apple___h"),
        ([(MOVED, "drop", ""), (MOVED, "keep", "")], "line 3: .* stands in .*line 2 too. Keep one of the two"),
        ([(f"{A}/absent.png", "keep", "")], r"line 2: .* holds no photo Apple___healthy/absent\.png: a path is"),
        ([(f"../{A}/000.png", "drop", "")], "line 2: .* holds no photo"),
        ([(f"{A}/000.png", "drop", "")], r"lies in train and val and test\. Write train/Apple___healthy/000\.png"),
        ([(f"{A}/005.png", "keep", ""), (f"train/{A}/005.png", "keep", "")], "line 3: .* stands in .*line 2 too"),
        ([(f"train/{A}/00{n}.png", "drop", "") for n in range(6)], "leaves no photo of 'Apple___healthy' in train"),
    ],
)
def test_wrong_rows_are_named(rows: list[tuple[str, str, str]], message: str, photos: Path) -> None:
    write(photos, rows)
    with pytest.raises(ValueError, match=message):
        scan(photos, "train")


def test_rows_survive_a_spreadsheet(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_text('\ufeffpath;action;class\r\n"a;b/""1"".jpg";move;c\r\n')
    (row,) = read_labels(file)
    assert (row.photo, row.target) == ('a;b/"1".jpg', "c")
    file.write_text("path\taction\nx\tkeep\n")
    with pytest.raises(ValueError, match="lacks the column 'class'"):
        read_labels(file)


def test_staged_copy_obeys_labels(photos: Path, tmp_path: Path) -> None:
    copies = [stage(photos, tmp_path / "node")]
    for rows in (ROWS, [(MOVED, "move", C)], [(MOVED, "move", B)]):
        write(photos, rows)
        copies.append(stage(photos, tmp_path / "node"))
        for part in ("train", "val"):
            assert scan(copies[-1], part).digest == scan(photos, part).digest
    assert len(set(copies)) == 4


def test_dropped_photos_keep_their_origin(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    split(photos / "train", root)
    before = origin(scan(root, "train"))
    assert before.split_digest
    write(root, [(next(iter(scan(root, "train").names)), "drop", "")])
    assert len(scan(root, "train").dropped) == 1
    assert origin(scan(root, "train")) == before
