"""What eval-<split>.json and calibration.json hold. Shares and intervals are from 0 to 1, losses in nats."""

from dataclasses import dataclass, field

Interval = tuple[float, float]  # 95 %
RESAMPLES = 2000  # of the bootstrap that an interval is from


@dataclass(frozen=True)
class ClassScores:
    """Scores of the photos with one label; accuracy is its recall."""

    images: int
    correct: int = 0
    accuracy: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    f1: float = 0.0


@dataclass(frozen=True)
class CropScores:
    """Scores of the photos of one crop. correct: the class is; crop_correct: at least the crop is."""

    images: int
    correct: int
    accuracy: float
    crop_correct: int


@dataclass(frozen=True)
class HealthScores:
    """Healthy or diseased, whatever the crop. missed: diseased, called healthy; false_alarms: the other way round."""

    images: int
    correct: int
    accuracy: float
    interval: Interval
    missed: int
    false_alarms: int


@dataclass(frozen=True)
class ConfusedPair:
    """Photos of one class that were taken for another one."""

    label: str
    predicted: str
    images: int


@dataclass(frozen=True)
class Bin:
    """Photos whose confidence lies between `low` and `high`: their mean confidence and their accuracy."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CalibrationScores:
    """Calibration error and loss, before the temperature and, where there is one, after it."""

    temperature: float | None
    fitted_on: str | None
    ece: float
    loss: float
    bins: list[Bin]
    ece_calibrated: float | None = None
    loss_calibrated: float | None = None
    bins_calibrated: list[Bin] | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """eval-<split>.json: everything that is known of a checkpoint's answers on a split.

    confusion: rows are labels, columns answers, in the order of `classes`. data, split_digest: digests of the photos;
    root: folder of the split folders; elsewhere: the folder of photos that are not the run's own. unknown: photos of
    each class that the run does not know, which were left out; absent: classes of the run without a photo.
    """

    split: str
    images: int
    unreadable: int = 0
    correct: int = 0
    accuracy: float
    interval: Interval | None = None
    macro_precision: float = 0.0
    macro_recall: float = 0.0
    macro_f1: float = 0.0
    balanced_accuracy: float = 0.0
    top3_accuracy: float = 0.0
    loss: float = 0.0
    classes: dict[str, ClassScores] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    confused: list[ConfusedPair] = field(default_factory=list)
    crops: dict[str, CropScores] = field(default_factory=dict)
    healthy: HealthScores | None = None
    calibration: CalibrationScores | None = None
    checkpoint: str | None = None
    tta: bool = False
    data: str | None = None
    root: str | None = None
    split_digest: str | None = None
    leaf_disjoint: str = "unknown"
    elsewhere: str | None = None
    unknown: dict[str, int] | None = None
    absent: list[str] | None = None
    interval_by_leaf: Interval | None = None

    @property
    def bounds(self) -> Interval:
        """The 95 % interval of the accuracy: by leaf where leaf ids were given, else by photo."""
        bounds = self.interval_by_leaf or self.interval
        assert bounds, "an evaluation of an old release; compare and report refuse it first"
        return bounds

    @property
    def calibration_error(self) -> float | None:
        """After the temperature where there is one."""
        found = self.calibration
        return None if found is None else found.ece if found.ece_calibrated is None else found.ece_calibrated


@dataclass(frozen=True)
class Refusal:
    """Limits beyond which answers are refused: not sure below `confidence`; not one of the classes beyond `distance`.

    wanted: the accuracy that `confidence` was chosen for, which is above 1 where none reaches that. Of the photos that
    both are from: answered: the share that is sure; accuracy: of these answers; refused: the share beyond `distance`.
    """

    wanted: float
    confidence: float
    answered: float
    accuracy: float | None
    distance: float
    refused: float


@dataclass(frozen=True)
class Separation:
    """How well a score tells a split from photos of no class.

    fpr95: the share of these that is answered where 95 % of the split are (Liang et al. 2018, arXiv 1706.02690).
    """

    auroc: float
    fpr95: float


@dataclass(frozen=True)
class OutsideFolder:
    """Photos of no class of the run. refused: the share that is, with its interval; not_ours: for its distance."""

    folder: str
    images: int
    refused: float
    interval: Interval
    not_ours: float
    by_confidence: Separation
    by_distance: Separation


@dataclass(frozen=True, kw_only=True)
class RefusalScores:
    """outside-<split>.json: what refusing is worth on a split and on photos of no class.

    answered: the share that is not refused; accuracy: of these; not_ours: the share beyond the distance.
    curve: coverage and accuracy of the surest photos; aurc: the mean of 1 - accuracy over all coverages.
    """

    split: str
    images: int
    checkpoint: str | None
    data: str | None = None  # the digest of the split's photos; None in files of older releases
    refusal: Refusal
    answered: float
    accuracy: float | None
    not_ours: float
    aurc: float
    curve: list[tuple[float, float]]
    outside: list[OutsideFolder]


@dataclass(frozen=True)
class Calibration:
    """calibration.json: one temperature for one checkpoint, and what it does to the loss of the photos it is from.

    refusal: None in files of older releases.
    """

    temperature: float
    split: str
    images: int
    loss: float
    loss_calibrated: float
    checkpoint: str
    refusal: Refusal | None = None
