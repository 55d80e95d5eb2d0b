"""Checks of the doctor on settings of a test, and what they must say."""

from collections.abc import Iterable

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, ModelConfig, TrackConfig
from leafdist.doctor.diagnosis import Finding, merge
from leafdist.doctor.launch import Launch

HERE = Launch("here")


def settings(**sections: object) -> Config:
    given: dict[str, object] = {"model": ModelConfig(name="baseline"), "track": TrackConfig(wandb="off")}
    return resolve(Config(**(given | sections)))  # type: ignore[arg-type]


def bad(findings: Finding | Iterable[Finding], check: str, status: str = "error") -> str:
    """What is wrong, which is one thing, and the way out."""
    found = [findings] if isinstance(findings, Finding) else list(findings)
    wrong = [one for one in found if one.status not in ("ok", "note")]
    assert [(one.check, one.status) for one in wrong] == [(check, status)], found
    assert wrong[0].way_out
    return f"{merge([('here', wrong[0])])[0].text}. {wrong[0].way_out}"


def fine(findings: Finding | Iterable[Finding]) -> list[Finding]:
    found = [findings] if isinstance(findings, Finding) else list(findings)
    assert found
    assert {one.status for one in found} <= {"ok", "note"}, found
    return found
