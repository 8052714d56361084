"""Every refusal with its exact message: `tests/bad_plans/NAME.yaml`, added to a good configuration, says `NAME.txt`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.config import ConfigError, load

FOLDER = Path(__file__).parents[1] / "bad_plans"
BASE = FOLDER / "_base.yaml"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path != BASE)
CANARY = "canary-1f0c2a"  # a value from elsewhere, which no message may repeat


@pytest.mark.parametrize("case", CASES)
def test_bad_plans_say_what_is_wrong_and_where(case: str, place: Path) -> None:
    shutil.copy(BASE, place / "plans" / "base.yaml")
    shutil.copy(FOLDER / f"{case}.yaml", place / "plans")
    (place / "canary.txt").write_text(f"{CANARY}\n")
    with pytest.raises(ConfigError) as refused:
        load(Path("plans"), {"CANARY": CANARY})
    assert str(refused.value).splitlines() == (FOLDER / f"{case}.txt").read_text().splitlines()
    assert "hunter2" not in str(refused.value)
    assert CANARY not in str(refused.value)


def test_what_the_bad_plans_are_added_to_is_good(place: Path) -> None:
    shutil.copy(BASE, place / "plans")
    assert load(Path("plans"), {}).services.keys() == {"orders", "stock"}


def test_every_message_belongs_to_a_case() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == CASES
