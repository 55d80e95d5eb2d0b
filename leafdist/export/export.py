"""A run for other programs: ONNX, torch.export, a state dict; each checked against PyTorch, with a model card."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.export import onnx_file, tensors
from leafdist.export.agreement import Agreement, Exported, Judged
from leafdist.export.model_card import CARD, LABELS, card, is_export
from leafdist.export.sample_photos import Photos
from leafdist.export.subject import Pixels, Scores, Subject
from leafdist.system import files

ONNX = {"fp32": "model.onnx", "fp16": "model-fp16.onnx", "int8": "model-int8.onnx"}
OTHERS = {"pt2": "model.pt2", "safetensors": "model.safetensors"}
NAMES = (*ONNX.values(), *OTHERS.values(), LABELS, CARD)
AT_ONCE = 64  # photos
CALM = 0.98  # of the photos to calibrate on; docs/export.md has what that is worth
Write = Callable[[Path], None]
Answer = Callable[[Pixels], Scores]


def check_folder(folder: Path) -> None:
    """Raises ValueError where something else than an earlier export would be replaced or removed."""
    there = [name for name in NAMES if (folder / name).exists()]
    if there and not is_export(folder):
        raise ValueError(f"{folder} holds {', '.join(there)}, of no earlier export. Name another folder with --to")


class Export:
    """Writes files of `subject` into `folder`; none that answers differently is left there."""

    def __init__(self, subject: Subject, folder: Path, photos: Photos, say: Callable[[str], None]) -> None:
        self.subject, self.folder, self.photos, self.say = subject, folder, photos, say
        self.sample, self.kind = photos.to_compare()
        self.expected = subject.scores(self.sample)
        self.done = list[Exported]()
        self._truth: tuple[NDArray[np.int64], Scores] | None = None

    def run(self, formats: Sequence[str], precisions: Sequence[str]) -> list[Exported]:
        """All of it; what an earlier export left there and this one did not make is removed."""
        for precision in precisions if "onnx" in formats else ():
            self.onnx(precision)
        subject = self.subject
        if "pt2" in formats:
            write: Write = lambda path: tensors.save_program(subject, path)  # noqa: E731
            self.keep(OTHERS["pt2"], "fp32", write, lambda path: tensors.program_answers(subject, path))
        if "safetensors" in formats:
            write = lambda path: tensors.save_state(subject, path)  # noqa: E731
            self.keep(OTHERS["safetensors"], "fp32", write, lambda path: tensors.state_answers(subject, path))
        files.write_text(self.folder / LABELS, "".join(f"{name}\n" for name in subject.classes))
        files.write_text(self.folder / CARD, card(subject, self.done, self.kind))
        for name in {*NAMES[:-2]} - {made.name for made in self.done}:
            (self.folder / name).unlink(missing_ok=True)
        return self.done

    def onnx(self, precision: str) -> None:
        subject = self.subject
        graph = onnx_file.trace(subject, half=precision == "fp16")
        onnx_file.describe(graph, subject)

        def write(path: Path) -> None:
            if precision == "int8":
                onnx_file.quantise(graph, path, subject.inputs(self.calm(self.photos.to_calibrate())).numpy())
            else:
                onnx_file.save(graph, path)

        self.keep(ONNX[precision], precision, write, self.onnx_answers)

    def calm(self, photos: Pixels) -> Pixels:
        """Without the few that excite the network most: the ranges of all would be stretched to theirs."""
        strongest = np.abs(self.subject.scores(photos)).max(1)
        calm: Pixels = photos[strongest <= np.quantile(strongest, CALM)]
        return calm

    def onnx_answers(self, path: Path) -> Answer:
        session = onnx_file.answers_of(path, self.photos.runtime.cpus)
        return lambda photos: session(self.subject.inputs(photos).numpy())

    def keep(self, name: str, precision: str, write: Write, open_: Callable[[Path], Answer]) -> None:
        """Write, ask, compare; then into its place. Raises ValueError where it differs."""
        path = self.folder / name
        with files.atomic_path(path) as temporary:
            write(temporary)
            answer = open_(temporary)
            agreement = Agreement.of(self.expected, self.ask(answer, self.sample))
            agreement.check(str(path), precision)
            judged = None if precision == "fp32" else self.judge(answer)
        self.done.append(Exported(name, precision, path.stat().st_size, files.sha256(path), agreement, judged))
        self.say(f"{path}: {path.stat().st_size / 1e6:.1f} MB; {agreement} ({self.kind})")
        if judged:
            self.say(f"{path}: {judged}")

    def ask(self, answer: Answer, photos: Pixels) -> Scores:
        """One photo alone and the others in batches: a file must take any number."""
        cuts = [0, 1, *range(1 + AT_ONCE, len(photos), AT_ONCE), len(photos)]
        return np.concatenate([answer(photos[a:b]) for a, b in pairwise(cuts) if b > a])

    def judge(self, answer: Answer) -> Judged | None:
        """Accuracy on the whole test split beside PyTorch's, where that split is at hand."""
        if self._truth is None:
            batches = [(labels, self.subject.scores(photos)) for photos, labels in self.photos.test()]
            if not batches:
                self.say("accuracy is not measured: the run's test split is not at hand")
                return None
            self._truth = tuple(map(np.concatenate, zip(*batches, strict=True)))  # type: ignore[assignment]
        assert self._truth
        labels, expected = self._truth
        found = np.concatenate([answer(photos) for photos, _ in self.photos.test()])
        return Judged.of(labels, expected, found)
