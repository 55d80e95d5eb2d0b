"""The command line: what wins over what, and one message with status 2 for whatever is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from leafdist.config.parse import parse_config
from leafdist.config.schema import KEYS, from_dict
from tests.helpers.paths import REPO

CONFIGS = sorted(set((REPO / "configs").rglob("*.yaml")) - {REPO / "configs" / "sweep.yaml"})  # that one is W&B's


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.chdir(tmp_path)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        parse_config(arguments)
    output = capsys.readouterr()
    assert (left.value.code, output.out) == (2, "")
    assert output.err.startswith("train.py: error: ")
    assert output.err.count("\n") == 1
    return output.err


def test_flags_beat_file_beats_defaults() -> None:
    Path("mine.yaml").write_text("optim:\n  lr: 1e-4\n  gamma: 0.5\ntrain:\n", encoding="utf-8")
    config = parse_config(["--optim.lr", "3e-4", "--config", "mine.yaml"])
    assert (config.optim.lr, config.optim.gamma, config.train.epochs) == (3e-4, 0.5, 30)
    assert config.run.name == "mine"


def test_run_without_file_gets_a_name() -> None:
    assert parse_config([]).run.name == "run"
    assert parse_config(["--run.name", "2024"]).run.name == "2024"


@pytest.mark.parametrize("number", ["1e-3", "1.0e-3", "0.001", ".1e-2", "1E-3", "'1e-3'"])
def test_yaml_numbers_in_every_common_form(number: str) -> None:
    Path("a.yaml").write_text(f"optim:\n  lr: {number}\n", encoding="utf-8")
    assert parse_config(["--config", "a.yaml"]).optim.lr == 1e-3


def test_bare_no_and_off_are_words() -> None:
    Path("a.yaml").write_text("train:\n  precision: no\ntrack:\n  wandb: off\n  tags: [a]\n", encoding="utf-8")
    config = parse_config(["--config", "a.yaml", "--track.tags+", "b"])
    assert (config.train.precision, config.track.wandb, config.track.tags) == ("no", "off", ["a", "b"])


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        ("--train.compile yes", True),
        ("--train.max_rows null", None),
        ("--data.hflip 1", 1.0),
        ("--data.crop auto", 0),
        ("--data.root null", "null"),
        ("--data.cache null", None),
        ("--track.tags [a,b] --track.tags+ c", ["a", "b", "c"]),
        ("--data.source auto", "pack"),  # of earlier releases
    ],
)
def test_flags_read_as_their_type(flags: str, value: object) -> None:
    config = parse_config(["--model.name", "baseline", *flags.split()])
    section, name = flags.split(maxsplit=1)[0].removeprefix("--").split(".")
    found = getattr(getattr(config, section), name)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--optim.lrr 3", "did you mean optim.lr? Known keys of optim: name, lr,"),
        ("--epochs=3", "did you mean train.epochs? Known keys: seed, run,"),
        ("--optim 3", "optim: a section, not a key"),
        ("--confg a.yaml", "did you mean config?"),
        ("--print-conf", "did you mean print_config?"),
        ("--run.name=--", "--run.name=--: -- ends the flags"),
        ("--config=~/absent.yaml", "/absent.yaml: no such file"),
        ("--optim.l 3", "optim.l: unknown key"),
        ("--optim.lr fast", "optim.lr=fast: must be a number; the default is 0.001"),
        ("--optim.lr=-1", "optim.lr=-1.0: must be above 0"),
        ("--data.crop big", "data.crop=big: must be a whole number or auto; the default is auto"),
        ("--train.max_rows 8.5", "train.max_rows=8.5: must be a whole number or null; the default is null"),
        ("--track.tags [[1]]", "track.tags=[[1]]: must be a list in brackets"),
        ("--train.precision fp8", "must be auto or no or bf16 or fp16"),
        ("--data.crop 65 --print_config", "larger than the picture"),
        ("--seed", "expected one argument"),
        ("word", "unrecognized arguments: word"),
        ("--config absent.yaml", "absent.yaml: no such file"),
        ("--config a.yaml --config b.yaml", "given 2 times"),
    ],
)
def test_wrong_flags_end_with_one_message(capsys: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    assert message in error_of(capsys, *arguments.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"optim:\n  lrr: 1\n", "a.yaml: optim.lrr: unknown key; did you mean optim.lr?"),
        (b"optim: 3\n", "optim=3: must be a mapping"),
        (b"hello", "must be a mapping of seed, run"),
        (b"optim: [a\nb: c", "a.yaml is not YAML"),
        (b"\xff\xfe\x00", "a.yaml is not YAML"),
        (b"seed: 1\nseed: 2\n", "seed is given twice"),
        (b"optim.lr: 1\noptim:\n  lr: 2\n", "optim.lr is given twice"),
        (b"seed: null\n", "seed=null: must be a whole number"),
        (b"optim:\n  lr: fast\n", "a.yaml: optim.lr=fast: must be a number"),
        (b"model:\n  weights: [3]\n", "model.weights=[3]: must be a text"),
    ],
)
def test_wrong_files_end_with_one_message(capsys: pytest.CaptureFixture[str], content: bytes, message: str) -> None:
    Path("a.yaml").write_bytes(content)
    assert message in error_of(capsys, "--config", "a.yaml")


def test_printed_config_is_the_resolved_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse_config(["--print_config", "--seed", "3"])
    assert left.value.code == 0
    assert from_dict(yaml.safe_load(capsys.readouterr().out)) == parse_config(["--seed", "3"])


def test_help_shows_launches_and_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse_config(["--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0
    assert [start for start in ("python train", "accelerate", "sbatch") if f"\n  {start}" not in text] == []
    assert [name for name in KEYS if f"--{name} " not in text or not KEYS[name].metadata["help"]] == []


@pytest.mark.parametrize(("arguments", "status"), [(["--lr", "1"], 2), (["--help"], 0), (["--print_config"], 0)])
def test_other_ranks_exit_silently_and_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        parse_config(arguments)
    assert (left.value.code, *capsys.readouterr()) == (status, "", "")


@pytest.mark.parametrize("left_over", [
    {"RANK": "1"}, {"RANK": "3", "LOCAL_RANK": "3"}, {"RANK": "1", "WORLD_SIZE": "2"},
    {"RANK": "1", "WORLD_SIZE": "1", "MASTER_ADDR": "here", "MASTER_PORT": "1"}, {"RANK": "", "WORLD_SIZE": ""},
])  # fmt: skip
def test_rank_left_over_silences_nobody(
    left_over: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in left_over.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        parse_config(["--lr", "1"])
    assert "did you mean optim.lr" in capsys.readouterr().err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(REPO)))
def test_shipped_configs_are_right(path: Path) -> None:
    parse_config(["--config", str(path)])


def test_shipped_configs_use_separate_folders() -> None:
    names = [parse_config(["--config", str(path)]).run.name for path in CONFIGS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("arguments", "status"), [(["--optim.lrr", "1"], 2), (["--print_config"], 0)])
def test_parsing_imports_nothing_slow(arguments: list[str], status: int) -> None:
    code = (
        "import atexit, sys; from leafdist.config.parse import parse_config; "
        "atexit.register(lambda: print([m for m in ('torch', 'numpy', 'accelerate') if m in sys.modules], "
        "file=sys.stderr)); parse_config()"
    )
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == status
    assert done.stderr.endswith("[]\n")
    assert "Traceback" not in done.stderr
