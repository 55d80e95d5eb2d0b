"""Folders that tests read: the checkout, and what lies beside it."""

from pathlib import Path

REPO = Path(__file__).parents[2]
SHARED = REPO.parent / "shared"
