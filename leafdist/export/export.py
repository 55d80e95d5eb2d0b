"""A run for other programs, in each format that is asked for: checked against PyTorch, with a model card."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leafdist.export import litert_file, onnx_file, tensors, web_page
from leafdist.export.agreement import Agreement, Answer, Exported, Judged
from leafdist.export.model_card import CARD, LABELS, card, is_export
from leafdist.export.sample_photos import Photos
from leafdist.export.subject import Pixels, Scores, Subject
from leafdist.system import files

ONNX = {"fp32": "model.onnx", "fp16": "model-fp16.onnx", "int8": "model-int8.onnx"}
TENSORS = {"pt2": (tensors.save_program, tensors.open_program), "safetensors": (tensors.save_state, tensors.open_state)}
LINES = "labels.txt"  # where earlier releases wrote the labels
LITERT, WEB = "model.tflite", "model.html"
FILES = (*ONNX.values(), *(f"model.{name}" for name in TENSORS), LITERT, WEB)
AT_ONCE = 64  # photos
CALM = 0.98  # of the photos to calibrate on; docs/export.md has what that is worth


class Opens(Protocol):
    """Opens the bytes of a network with so many threads: for its scores, or for its marks."""

    def __call__(self, file: bytes, threads: int, *, marks: bool = False) -> Callable[[NDArray[Any]], Scores]: ...


@dataclass(frozen=True)
class Form:
    """One file to write: what writes it, and what opens it again to answer photos, or to say whether it is sure."""

    name: str
    precision: str
    write: Callable[[Path], None]
    open: Callable[[Path], Answer]
    marks: Callable[[Path], Answer] | None = None


def check_folder(folder: Path) -> None:
    """Raises ValueError if something else than an earlier export would be replaced or removed."""
    there = [name for name in (*FILES, LABELS, CARD) if (folder / name).exists()]
    if there and not is_export(folder):
        raise ValueError(
            f"{folder} holds {', '.join(there)}, which export did not write. Name another folder with --to"
        )


class Export:
    """Writes files of `subject` into `folder`; one that answers differently is not left there."""

    def __init__(self, subject: Subject, folder: Path, photos: Photos, say: Callable[[str], None]) -> None:
        self.subject, self.folder, self.photos, self.say = subject, folder, photos, say
        self.sample, self.origin = photos.to_compare()
        self.expected = subject.scores(self.sample)

    def run(self, formats: Sequence[str], precisions: Sequence[str]) -> list[Exported]:
        """Write each, and the card of all so far: what fails later leaves an export. Remove files of an earlier one."""
        subject = self.subject
        forms = [self.onnx(precision) for precision in precisions if "onnx" in formats]
        for name, (write, open_) in TENSORS.items():
            if name in formats:
                forms.append(Form(f"model.{name}", "fp32", partial(write, subject), partial(open_, subject)))
        if "litert" in formats:
            write_litert = partial(litert_file.save, subject)
            forms.append(self.form(LITERT, "fp32", write_litert, litert_file.answers_of, Path.read_bytes))
        if "web" in formats:  # in a browser, nobody else crops and normalises
            whole = replace(subject, inside=True)
            write_page = partial(web_page.save, whole)
            forms.append(self.form(WEB, "fp32", write_page, onnx_file.answers_of, web_page.model_in, subject=whole))
        names = json.dumps(subject.classes, indent=1)  # a name may hold anything, ends of lines too
        done = list[Exported]()
        for form in forms:
            done.append(self.keep(form))
            files.write_text(self.folder / LABELS, f"{names}\n")
            files.write_text(self.folder / CARD, card(subject, done, self.origin))
        for name in {*FILES, LINES} - {made.name for made in done}:
            (self.folder / name).unlink(missing_ok=True)
        return done

    def onnx(self, precision: str) -> Form:
        """Return the ONNX file of a precision."""

        def write(path: Path) -> None:
            graph = onnx_file.trace(self.subject, half=precision == "fp16")
            if precision == "int8":
                onnx_file.quantise(graph, path, self.subject.inputs(self.calm()).numpy())
            else:
                path.write_bytes(onnx_file.content(graph))

        return self.form(ONNX[precision], precision, write, onnx_file.answers_of, Path.read_bytes)

    def form(
        self,
        name: str,
        precision: str,
        write: Callable[[Path], None],
        answers_of: Opens,
        read: Callable[[Path], bytes],
        *,
        subject: Subject | None = None,
    ) -> Form:
        """Return a file whose network `answers_of` opens; `subject`, if another one, prepares its photos."""
        inputs = (subject or self.subject).inputs

        def open_(path: Path, *, marks: bool = False) -> Answer:
            session = answers_of(read(path), self.photos.runtime.cpus, marks=marks)
            return lambda photos: session(inputs(photos).numpy())

        return Form(name, precision, write, open_, partial(open_, marks=True))

    def calm(self) -> Pixels:
        """Return photos to calibrate on, without the few whose large scores would stretch every range."""
        photos = self.photos.to_calibrate()
        strongest = np.abs(self.subject.scores(photos)).max(1)
        calm: Pixels = photos[strongest <= np.quantile(strongest, CALM)]
        return calm

    def keep(self, form: Form) -> Exported:
        """Write a file beside its path, open and check it, rename it. Raises ValueError if its answers differ."""
        path = self.folder / form.name
        with files.atomic_path(path) as temporary:
            form.write(temporary)
            answer = form.open(temporary)
            agreement = Agreement.measure(self.expected, ask(answer, self.sample))
            agreement.check(str(path), form.precision)
            if form.marks and (refusing := self.subject.refusing):
                expected = self.subject.marks(self.sample, refusing)
                marks = Agreement.measure(expected, ask(form.marks(temporary), self.sample))
                marks.check(str(path), form.precision)
            judged = None if form.precision == "fp32" else self.judge(answer)
        size = path.stat().st_size
        self.say(f"wrote {path}: {size / 1e6:.1f} MB; {agreement} ({self.origin})")
        if judged:
            self.say(f"{path}: {judged}")
        return Exported(form.name, form.precision, size, files.sha256(path), agreement, judged)

    @cached_property
    def truth(self) -> tuple[NDArray[np.int64], Scores] | None:
        """Labels and PyTorch's scores of the test split; None without it."""
        batches = [(labels, self.subject.scores(photos)) for photos, labels in self.photos.test()]
        if not batches:
            self.say("accuracy is not measured: the run's test split is not at hand")
            return None
        return np.concatenate([labels for labels, _ in batches]), np.concatenate([scores for _, scores in batches])

    def judge(self, answer: Answer) -> Judged | None:
        """Measure the accuracy on the whole test split beside PyTorch's."""
        if self.truth is None:
            return None
        return Judged.measure(*self.truth, np.concatenate([answer(photos) for photos, _ in self.photos.test()]))


def ask(answer: Answer, photos: Pixels) -> Scores:
    """Return the scores of one photo alone, then of batches: a file must take any number."""
    cuts = [0, 1, *range(1 + AT_ONCE, len(photos), AT_ONCE), len(photos)]
    return np.concatenate([answer(photos[start:stop]) for start, stop in pairwise(cuts) if stop > start])
