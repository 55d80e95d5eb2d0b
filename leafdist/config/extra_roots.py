"""Further roots of photos, `data.extra`: what each is called, and how many rows of every global batch are its own."""

import os
import re
from dataclasses import dataclass
from fractions import Fraction

from leafdist.config.schema import Config, DataConfig
from leafdist.config.values import DECIMAL

WORST, MEAN = "worst_root", "mean_root"  # values of train.select


@dataclass(frozen=True)
class ExtraRoot:
    """A root beside `data.root`: its share of every global batch; name: its folder's, numbered from the second on."""

    path: str
    share: Fraction
    name: str


def extra_roots(data: DataConfig) -> list[ExtraRoot]:
    """Read `data.extra`. Raises ValueError for what is not ROOT:SHARE, and for a root that is named twice."""
    found = list[ExtraRoot]()
    seen = {os.path.abspath(data.root)}  # noqa: PTH100 - Path.resolve would follow links
    for text in data.extra:
        path, _, share = text.rpartition(":")
        if not path or not DECIMAL.fullmatch(share) or not 0 < Fraction(share) < 1:
            raise ValueError(
                f"data.extra={text}: must be ROOT:SHARE, a folder and its share of every batch, above 0 and below 1, "
                "such as /data/field:0.33"
            )
        where = os.path.abspath(path)  # noqa: PTH100
        if where in seen:
            raise ValueError(f"data.extra={text}: {path} is named twice. Name each root once, with all of its share")
        seen.add(where)
        name, taken = re.sub("[@+]", "-", os.path.basename(where)), {root.name for root in found}  # noqa: PTH119
        numbered = (f"{name}-{number}" if number > 1 else name for number in range(1, len(taken) + 2))
        found.append(ExtraRoot(path, Fraction(share), next(one for one in numbered if one not in taken)))
    return found


def rows_of_roots(data: DataConfig, batch: int) -> list[int]:
    """Return the rows of a full global batch that come from `data.root` and from each of `data.extra`.

    Of `batch` rows, a root with the share s has batch x s, rounded, halves up. Raises ValueError where one has none.
    """
    roots, size = extra_roots(data), f"train.batch_size={batch}"
    rows = [int(batch * root.share + Fraction(1, 2)) for root in roots]
    shares, total = f"data.extra=[{', '.join(data.extra)}]", sum(root.share for root in roots)
    if total >= 1:
        raise ValueError(
            f"{shares}: the shares sum to {float(total):g}; they must sum to less than 1, so that data.root has rows "
            "of each batch too. Lower them"
        )
    for root, count, text in zip(roots, rows, data.extra, strict=True):
        if count == 0:
            least = -(-1 // (2 * root.share))
            raise ValueError(f"data.extra={text}: no row of a batch, since {size}. Raise that to {least}, or the share")
    if sum(rows) >= batch:
        raise ValueError(f"{shares}: leaves no row of a batch to data.root, since {size}. Raise that, or lower a share")
    return [batch - sum(rows), *rows]


def check_roots(config: Config) -> None:
    """Raises ValueError where the roots fit neither the batch nor the other settings."""
    rows_of_roots(config.data, config.train.batch_size)
    for setting, wanted in (
        (f"data.classes={config.data.classes}", config.data.classes),
        (f"train.select={config.train.select}", config.train.select in (WORST, MEAN)),
    ):
        if wanted and not config.data.extra:
            raise ValueError(f"{setting}: there is no other root; name one with data.extra, or unset it")
