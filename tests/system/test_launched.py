"""What a process tells its launcher of its end."""

import json
from pathlib import Path

import pytest

from leafdist.system import launched


def test_status_is_handed_to_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched.hand_over(75, main=True) == 75, "nobody asked"
    monkeypatch.setenv("LEAFDIST_STATUS", str(tmp_path / "status"))
    assert launched.hand_over(75, main=True) == 75, "nobody would read it"
    assert launched.hand_over(75, main=False) == 0
    (tmp_path / "status").touch()
    assert launched.hand_over(75, main=True) == 0
    assert (tmp_path / "status").read_text() == "75"
    monkeypatch.setattr(Path, "write_text", failing)
    assert launched.hand_over(2, main=True) == 2, "a full disk"


def failing(*_: object) -> None:
    raise OSError("no space left")


@pytest.mark.parametrize("text", ["saved at step 3", "a\nb", "é"])
def test_launchers_find_the_reason(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    launched.explain(text)
    failure = ProcessFailure(0, 1, 75, str(tmp_path / "error.json"))
    assert text.splitlines()[-1] in str(ChildFailedError("train.py", {0: failure}))
    assert isinstance(json.loads((tmp_path / "error.json").read_text())["message"], dict), "else torch warns"
