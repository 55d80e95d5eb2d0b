"""Settings: ranges, contradictions, the way to a dictionary and back, what a resumed run may change."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from leafdist.config.changes import differences
from leafdist.config.resolve import check_world, resolve
from leafdist.config.schema import Config, from_dict, saved, to_dict


def config(**sections: Any) -> Config:
    return from_dict(sections)


def test_autos_of_resnet50_are_resolved() -> None:
    done = resolve(Config())
    assert (done.data.crop, done.data.hflip, done.data.vflip, done.data.normalize) == (52, 0.5, 0.5, "imagenet")
    assert (done.model.weights, done.model.freeze, done.data.source) == ("IMAGENET1K_V2", "layer1", "pack")
    assert (done.data.workers, done.train.precision, done.track.wandb) == ("auto", "auto", "auto")


def test_autos_of_the_baseline_are_resolved() -> None:
    done = resolve(config(model={"name": "baseline"}))
    assert (done.data.crop, done.data.hflip, done.data.vflip, done.data.normalize) == (0, 0.0, 0.0, "none")
    assert (done.model.weights, done.model.freeze) == ("none", "none")


def test_random_weights_are_not_frozen() -> None:
    assert resolve(config(model={"weights": "none"})).model.freeze == "none"


def test_resolving_twice_changes_nothing() -> None:
    assert resolve(resolve(Config())) == resolve(Config())


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("optim.lr", 0, "above 0"),
        ("optim.lr", float("nan"), "finite"),
        ("optim.lr", float("inf"), "finite"),
        ("data.hflip", 1.5, "at most 1"),
        ("data.crop", -1, "at least 0"),
        ("model.dropout", 1.0, "below 1"),
        ("train.epochs", 0, "at least 1"),
        ("train.ema", 1.0, "below 1"),
        ("train.patience", -1, "at least 0"),
        ("augment.rotate", 181.0, "at most 180"),
        ("augment.color", 1.1, "at most 1"),
        ("augment.mixup", -0.1, "at least 0"),
        ("augment.background", 1.1, "at most 1"),
        ("train.max_rows", 0, "at least 1"),
        ("run.name", "../x", "plain folder name"),
    ],
)
def test_range_errors_name_key_and_rule(key: str, value: Any, rule: str) -> None:
    section, name = key.split(".")
    with pytest.raises(ValueError, match=rf"^{key}={value}: must be .*{rule}"):
        config(**{section: {name: value}})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"crop": 65}}, "larger than the picture"),
        ({"model": {"name": "baseline"}, "data": {"resize": 7}}, "needs 8 pixels"),
        ({"model": {"name": "baseline"}, "data": {"crop": 7}}, "needs 8 pixels"),
        ({"model": {"name": "baseline", "freeze": "all"}}, "nothing to freeze"),
        ({"model": {"name": "baseline", "weights": "IMAGENET1K_V1"}}, "are for resnet50"),
        ({"model": {"weights": "none", "freeze": "stem"}}, "random weights"),
        ({"model": {"dropout": 0.5}}, r"model\.dropout=0\.5"),
        ({"optim": {"warmup_epochs": 31}}, "longer than the 30 epochs"),
        ({"optim": {"warmup_epochs": 3}, "train": {"head_epochs": 28}}, "longer than the 2 epochs"),
        ({"train": {"head_epochs": 31}}, r"train\.head_epochs=31: more than train\.epochs=30"),
        ({"train": {"head_epochs": 1}, "model": {"weights": "none"}}, r"head_epochs=1 would freeze random weights"),
        ({"train": {"head_epochs": 1}, "model": {"freeze": "all"}}, "trains the head alone"),
        ({"model": {"freeze": "all"}, "optim": {"backbone_factor": 0.1}}, "nothing but the head is trained; set both"),
        ({"model": {"name": "baseline"}, "optim": {"layer_decay": 0.7}}, r"layer_decay=0\.7: baseline has no layers"),
        ({"augment": {"scale": [0.5, 2.0]}}, r"augment\.scale=\[0\.5, 2\.0\]: must be two shares"),
        ({"augment": {"scale": [0.9, 0.5]}}, r"augment\.scale=\[0\.9, 0\.5\]: must be two shares"),
        ({"augment": {"ratio": [0.5, 1.0]}}, r"augment\.ratio=\[0\.5, 1\.0\]: of the crop of augment\.scale"),
        (
            {"augment": {"scale": [0.5, 1.0], "ratio": [0.0, 1.0]}},
            r"augment\.ratio=\[0\.0, 1\.0\]: must be two numbers",
        ),
        ({"augment": {"mixup": 0.2, "mix_off_epochs": 31}}, r"mix_off_epochs=31: above the 30"),
        ({"augment": {"cutmix": 1.0}, "train": {"batch_size": 1}}, r"train\.batch_size=1: no other photo to mix with"),
        ({"augment": {"mix_off_epochs": 3}}, r"mix_off_epochs=3: nothing is mixed"),
        ({"train": {"patience": 3, "max_steps": 5}}, r"train\.patience=3: counts epochs, max_steps=5 steps"),
    ],
)
def test_contradictions_are_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(config(**sections))


def test_batch_holds_a_row_per_process() -> None:
    small = config(train={"batch_size": 3})
    check_world(small, 3)
    with pytest.raises(ValueError, match=r"train\.batch_size=3"):
        check_world(small, 4)


def test_config_survives_dictionary_and_yaml() -> None:
    first = resolve(config(run={"name": "x"}, train={"precision": "no"}, track={"tags": ["a"], "wandb": "off"}))
    assert from_dict(yaml.safe_load(yaml.safe_dump(to_dict(first)))) == first


def test_runs_of_old_releases_resized_bilinearly() -> None:
    new = resolve(Config())
    values: Any = to_dict(new)
    del values["data"]["interpolation"]
    assert saved(values) == new


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optim": {"lrr": 1}}, r"optim\.lrr: unknown key; did you mean optim\.lr\? Known keys of optim: name, lr,"),
        ({"lr": 1}, r"did you mean optim\.lr\?"),
        ({"optim": {"warmup": 1}}, r"did you mean optim\.warmup_epochs\?"),
        ({"train": {"max": 1}}, r"did you mean train\.max_rows or train\.max_steps\?"),
        ({"data": {"epoch": 1}}, r"did you mean train\.epochs\?"),
        ({"train": {"photo_weights": 1}}, "unknown key. Known"),
        ({"model": {"size": 1}}, "unknown key. Known"),
        ({"optim": {"learning_rate": 1}}, "unknown key. Known"),
        ({"confg": "a.yaml"}, "unknown key. Known"),  # in a file there is no such key
        ({"opt": {}}, "Known keys: seed, run, data"),
        ({"optim": 3}, "optim=3: must be a mapping of name, lr"),
        ("text", "must be a mapping"),
    ],
)
def test_unknown_keys_list_the_known_ones(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_dict(values)


@pytest.mark.parametrize(
    ("section", "changes", "free"),
    [
        ("optim", {"lr": 2e-3}, False),
        ("train", {"batch_size": 8}, False),
        ("train", {"epochs": 31}, True),
        ("train", {"epochs": 29}, False),
        ("train", {"accumulate": 2}, True),
        ("data", {"root": "/scratch"}, True),
        ("data", {"resize": 32}, False),
        ("run", {"folder": "elsewhere"}, True),
        ("track", {"tags": ["a"]}, True),
    ],
)
def test_differences_allow_what_resume_may_change(section: str, changes: dict[str, Any], free: bool) -> None:
    old = Config()
    new = replace(old, **{section: replace(getattr(old, section), **changes)})
    [(name, value)] = changes.items()
    line = f"{section}.{name}: {getattr(getattr(old, section), name)} -> {value}"
    assert differences(old, new) == (([], [line]) if free else ([line], []))


@pytest.mark.parametrize(
    "fixed", [{"optim": {"schedule": "cosine"}}, {"augment": {"mixup": 0.2, "mix_off_epochs": 2}}], ids=str
)
def test_counting_from_the_end_fixes_epochs(fixed: dict[str, Any]) -> None:
    old, new = (config(**fixed, train={"epochs": epochs}) for epochs in (30, 31))
    assert differences(old, new) == (["train.epochs: 30 -> 31"], [])


@pytest.mark.parametrize(("before", "after", "free"), [("a.tsv", "b.tsv", True), ("a.tsv", "none", False)])
def test_class_weights_may_move(before: str, after: str, free: bool) -> None:
    old, new = (config(optim={"class_weights": setting}) for setting in (before, after))
    line = f"optim.class_weights: {before} -> {after}"
    assert differences(old, new) == (([], [line]) if free else ([line], []))


@pytest.mark.parametrize(("after", "free"), [("/scratch/field:0.30", True), ("/data/field:0.31", False)])
def test_extra_roots_may_move(after: str, free: bool) -> None:
    old, new = (config(data={"extra": [setting]}) for setting in ("/data/field:0.3", after))
    line = f"data.extra: ['/data/field:0.3'] -> ['{after}']"
    assert differences(old, new) == (([], [line]) if free else ([line], []))


def test_extra_roots_keep_their_order() -> None:
    old, new = (config(data={"extra": extra}) for extra in (["/a:0.2", "/b:0.2"], ["/b:0.2", "/a:0.2"]))
    assert differences(old, new)[1] == []
