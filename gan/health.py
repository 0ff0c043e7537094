"""Rules that find the cause of a failing training, as pure functions of numbers.

`callbacks.Doctor` collects a row of numbers after each epoch. `find_cause` names the cause that one row
shows. `diagnose` turns all rows of a training into remarks. docs/failures.md has the trainings behind each
limit.

A row is a dictionary. Numbers that are not known are missing:

- `epoch`, from 1, and `steps`, the number of train steps so far;
- `d_loss`, `g_loss` and `penalty` (only with a penalty): the logs of the epoch;
- `val_frechet_distance`;
- `training_logits`, `test_logits`, `generated_logits`: mean logits of the discriminator, for training images,
  test images and generated images;
- `training_spread`, `test_spread`, `generated_spread`: standard deviations of these logits;
- `training_variety`, `generated_variety`: numbers of different images, from `count_different`;
- `training_minimum`, `training_maximum`: range of training images that are floats, from -1 to 1;
- `latent_dim`: length of a latent;
- `generator_rate`, `discriminator_rate`: learning rates of Adam or a similar optimizer.

`diagnose` adds numbers about earlier epochs: see `add_history`.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .images import to_float

RATES = ("generator_rate", "discriminator_rate")
SIDE = 8  # pixels of the images that `count_different` compares
SHARPNESS = 4.0  # similarity at the median distance of two real images: exp(-4)

RANGE = "the training images have the wrong range"
HIGH_RATES = "the learning rates are too high"
DIVERGENCE = "the training diverges"
MEMORIZING = "the discriminator memorizes the training images"
DISCRIMINATOR = "the discriminator wins"
GENERATOR = "the generator wins"
COLLAPSE = "the generator draws only a few different images"
VARIETY = "the samples have too little variety"
PENALTY = 'add the gradient penalty r1: `penalty="r1"` in `compile`, or --penalty r1'

# The limits, from the trainings in docs/failures.md
LOWEST_OF_RANGE = -0.1
LARGEST_SPREAD = 1000.0  # of the logits; 47 in a healthy training with the Wasserstein loss
LARGEST_GROWTH = 5.0  # of the Fréchet distance, from its lowest value
HIGHEST_RATE = 0.005
RECOMMENDED_RATE = 0.002
FARTHEST_APART, OVERLAP, NEAREST_APART = 5.0, 1.0, -1.0  # see `measure_separation`
MEMORIZED = 0.6
FEW_MODES, LITTLE_VARIETY = 0.15, 0.5  # times the variety of the training images
GROWING = 1.05  # times the earlier variety: the samples still improve
SHORT_LATENT = 8
FIRST_STEPS = 200  # before, batch normalization is not settled yet
FIRST_STEPS_OF_VARIETY = 300  # with the recommended learning rate; before, healthy samples vary little


@dataclasses.dataclass(frozen=True)
class Remark:
    """Says why a training fails, and what to change. `print(remark)` shows it in four lines.

    Attributes:
        epoch: the epoch after which the cause was found, from 1.
        since_epoch: the first epoch that shows the cause without a break.
        cause: the cause, as a sentence without a period.
        evidence: the numbers that show the cause.
        change: one thing to change.
        expect: the effect of the change.
    """

    epoch: int
    since_epoch: int
    cause: str
    evidence: str
    change: str
    expect: str

    def __str__(self):
        lines = [f"Evidence: {self.evidence}", f"Change:   {self.change}", f"Expect:   {self.expect}"]
        return "\n  ".join([self._title(), *lines])

    def to_markdown(self) -> str:
        """Returns the remark for TensorBoard."""
        parts = {"Evidence": self.evidence, "Change": self.change, "Expect": self.expect}
        return "\n\n".join([f"**{self._title()}**", *(f"{name}: {text}" for name, text in parts.items())])

    def _title(self) -> str:
        return f"Doctor, after epoch {self.epoch}: {self.cause} (since epoch {self.since_epoch})."


class Finding(NamedTuple):
    """Holds what one row shows: the parts of a `Remark`, and the number of rows that must show the cause."""

    cause: str
    evidence: str
    change: str
    expect: str
    rows_needed: int = 2


def diagnose(rows: list[dict[str, float]]) -> list[Remark]:
    """Returns the remarks on a training, in the order of the epochs. Names each cause once.

    A cause becomes a remark when several consecutive rows show it: usually two. While one cause shows, the
    function names no cause that comes later in `RULES`.

    Args:
        rows: the rows of all epochs so far, see the module.

    Example: `diagnose([{"epoch": 1, "d_loss": math.nan}])[0].cause` is "the training diverges".
    """
    remarks: dict[str, Remark] = {}
    starts: dict[
        str, tuple[int, int]
    ] = {}  # of each cause that shows now: the index and epoch of its first row
    for index, row in enumerate(add_history(rows)):
        findings = {found.cause: found for rule in RULES if (found := rule(row)) is not None}
        starts = {cause: starts.get(cause, (index, row["epoch"])) for cause in findings}
        for cause, found in findings.items():
            first, since = starts[cause]
            if cause not in remarks and index - first + 1 >= found.rows_needed:
                remarks[cause] = Remark(int(row["epoch"]), int(since), *found[:-1])
            break
    return list(remarks.values())


def add_history(rows: list[dict[str, float]]) -> Iterator[dict[str, float]]:
    """Yields each row with numbers about earlier epochs.

    These are `lowest_distance`, the lowest Fréchet distance up to this epoch; `earlier_variety`, the largest
    variety of the samples before this epoch; and the highest learning rates up to this epoch, in place of the
    rates of this epoch, which a schedule may have made small.
    """
    lowest, variety, rates = math.inf, 0.0, {}
    for row in rows:
        lowest = min(lowest, row.get("val_frechet_distance", math.inf))
        rates |= {name: max(row[name], rates.get(name, 0.0)) for name in RATES if name in row}
        yield (
            row
            | rates
            | {"earlier_variety": variety}
            | ({"lowest_distance": lowest} if lowest < math.inf else {})
        )
        variety = max(variety, row.get("generated_variety", 0.0))


def find_cause(row: dict[str, float]) -> Finding | None:
    """Returns the cause that one row from `add_history` shows, or None.

    A failing training often shows several causes: for example, when the discriminator wins, the variety
    falls too. The function returns the cause that must be corrected first.
    """
    return next((found for rule in RULES if (found := rule(row)) is not None), None)


def find_wrong_range(row: dict[str, float]) -> Finding | None:
    """Finds float images in [0, 1]. The generator ends in tanh, which draws from -1 to 1."""
    low, high = row.get("training_minimum", -1.0), row.get("training_maximum", 1.0)
    if low < LOWEST_OF_RANGE:
        return None
    return Finding(
        RANGE,
        f"the training images lie between {low:.3g} and {high:.3g}, not between -1 and 1",
        "give uint8 pixels from 0 to 255, or floats from `pixels / 127.5 - 1`",
        "the samples use the whole range from black to white",
        rows_needed=1,
    )


def find_high_rates(row: dict[str, float]) -> Finding | None:
    """Finds learning rates that explain another cause."""
    high = [f"{name} {row[name]:.2g}" for name in RATES if row.get(name, 0.0) > HIGHEST_RATE]
    high = [text.replace("_rate", " learning rate") for text in high]
    symptom = next((found for rule in SYMPTOMS if (found := rule(row)) is not None), None)
    if not high or symptom is None:
        return None
    return Finding(
        HIGH_RATES,
        f"{' and '.join(high)}; and {symptom.cause}: {symptom.evidence}",
        f"set the learning rate to {RECOMMENDED_RATE:g}, or lower",
        "the samples improve from epoch to epoch",
        symptom.rows_needed,
    )


def find_divergence(row: dict[str, float]) -> Finding | None:
    """Finds numbers that are not finite, logits that spread far, and a Fréchet distance that grows."""
    advice = "halve both learning rates" if "penalty" in row else PENALTY
    names = [name for name, value in row.items() if not math.isfinite(value)]
    if names:
        expect = "all numbers stay finite"
        return Finding(DIVERGENCE, f"not finite: {', '.join(names[:3])}", advice, expect, rows_needed=1)
    spread = max(row.get("training_spread", 0.0), row.get("generated_spread", 0.0))
    if spread > LARGEST_SPREAD:
        expect = "the losses and the logits stay small"
        return Finding(DIVERGENCE, f"the spread of the logits is {spread:.0f}", advice, expect)
    distance, lowest = row.get("val_frechet_distance", 0.0), row.get("lowest_distance", math.inf)
    if distance > LARGEST_GROWTH * lowest:
        evidence = f"the Fréchet distance grew from {lowest:.3g} to {distance:.3g}"
        return Finding(DIVERGENCE, evidence, advice, "the Fréchet distance falls, with small jumps only")
    return None


def find_memorizing(row: dict[str, float]) -> Finding | None:
    """Finds a discriminator that gives test images the logits of generated images.

    The measure is (E[D(train)] - E[D(test)]) / (E[D(train)] - E[D(generated)]): 0 for no overfitting, 1 for
    complete overfitting. Reference: Karras et al. 2020, https://arxiv.org/abs/2006.06676, equation 1.
    """
    apart = measure_separation(row)
    if apart is None or apart < OVERLAP or "test_logits" not in row:  # the measure is noise then
        return None
    difference = row["training_logits"] - row["generated_logits"]
    if row["training_logits"] - row["test_logits"] < MEMORIZED * difference:
        return None
    return Finding(
        MEMORIZING,
        f"the mean logits are {row['training_logits']:.3g} for training images, {row['test_logits']:.3g} for "
        f"test images, {row['generated_logits']:.3g} for generated images",
        "shift the images of the discriminator at random: --translation 0.125, or the layer "
        "`gan.augmentation.DiffAugment(translation=0.125)`",
        "the logits of test images stay near those of training images",
    )


def find_discriminator_wins(row: dict[str, float]) -> Finding | None:
    """Finds logits of real and generated images that do not overlap, and samples with little variety.

    Logits that do not overlap are no problem alone: with a penalty, the generator still learns from them.
    """
    apart = measure_separation(row)
    if apart is None or apart < FARTHEST_APART:
        return None
    if not _has_little_variety(row, LITTLE_VARIETY, FIRST_STEPS_OF_VARIETY):
        return None
    difference = row["training_logits"] - row["generated_logits"]
    return Finding(
        DISCRIMINATOR,
        f"the logits of real and generated images differ by {difference:.3g}, {apart:.1f} times their "
        f"spread, and {_describe_variety(row)}",
        _advise_weaker_discriminator(row),
        "the logits of real and generated images come closer, and the samples vary more",
    )


def find_generator_wins(row: dict[str, float]) -> Finding | None:
    """Finds generated images that the discriminator takes for more real than real images."""
    apart = measure_separation(row)
    if apart is None or apart > NEAREST_APART or row.get("steps", 0) < FIRST_STEPS:
        return None
    difference = row["generated_logits"] - row["training_logits"]
    return Finding(
        GENERATOR,
        f"the logits of generated images are higher than those of real images, by {difference:.3g}",
        _advise_stronger_discriminator(row),
        "the logits of real images rise above those of generated images, and the samples improve",
    )


def find_few_modes(row: dict[str, float]) -> Finding | None:
    """Finds a generator that draws only a few different images: mode collapse."""
    if not _has_little_variety(row, FEW_MODES, _first_steps_of_variety(row)):
        return None
    expect = "within a few epochs the samples show all kinds of images again"
    return Finding(COLLAPSE, _describe_variety(row), _advise_variety(row), expect)


def find_little_variety(row: dict[str, float]) -> Finding | None:
    """Finds samples that vary less than the training images."""
    if not _has_little_variety(row, LITTLE_VARIETY, _first_steps_of_variety(row)):
        return None
    return Finding(VARIETY, _describe_variety(row), _advise_variety(row), "the samples vary more")


# The order decides which cause is named when several show.
SYMPTOMS = (
    find_divergence,
    find_memorizing,
    find_discriminator_wins,
    find_generator_wins,
    find_few_modes,
    find_little_variety,
)
RULES = (find_wrong_range, find_high_rates, *SYMPTOMS)


def measure_separation(row: dict[str, float]) -> float | None:
    """Returns how far the logits of training and generated images are apart, as a multiple of their spread.

    The spread is the root of the mean of both variances. A loss may have logits of any size, and the
    separation does not depend on the size. Returns None if the logits are not known.
    """
    names = ("training_logits", "training_spread", "generated_logits", "generated_spread")
    if any(name not in row for name in names):
        return None
    mean, spread, other_mean, other_spread = (row[name] for name in names)
    return (mean - other_mean) / max(math.sqrt((spread**2 + other_spread**2) / 2), 1e-12)


def count_different(images: np.ndarray, reference: np.ndarray) -> float:
    """Counts the different images: the Vendi score.

    The score is exp(-sum(e log e)) for the eigenvalues e of K / count. K contains the similarity of each pair
    of images: exp(-4 d^2 / m), with the squared distance d^2 between two images after scaling to 8x8 pixels,
    and the median m of d^2 between two reference images. The score lies between 1 (all images are equal) and
    the number of images (all images are very different). Reference: Friedman & Dieng 2023,
    https://arxiv.org/abs/2210.02410, definition 3.1.

    Args:
        images: uint8, or floats in [-1, 1] (count, height, width, channels).
        reference: the same (other count, height, width, channels), usually real images. They determine when
            two images are different.

    Returns:
        The score. NaN if an image is not finite.

    Example: ten copies of one image have the score 1.

    ```python
    rng = np.random.default_rng(0)
    real = rng.normal(size=(100, 28, 28, 1))
    count_different(real[:1].repeat(10, axis=0), reference=real)    # 1.0
    ```
    """
    points, reference = _shrink(images), _shrink(reference)
    if not np.isfinite(points).all():
        return math.nan
    pairs = np.triu_indices(len(reference), 1)
    median = np.median(_square_distances(reference)[pairs]) if len(reference) > 1 else 0.0
    similarity = np.exp(-SHARPNESS * _square_distances(points) / max(median, 1e-12))
    eigenvalues = np.linalg.eigvalsh(similarity / len(points))
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def _has_little_variety(row: dict[str, float], share: float, first_steps: float) -> bool:
    """Returns whether the samples have less than a share of the real variety, and do not improve."""
    if not {"training_variety", "generated_variety", "steps"} <= row.keys() or row["steps"] < first_steps:
        return False
    variety = row["generated_variety"]
    is_growing = variety > GROWING * row.get("earlier_variety", math.inf)
    return variety < share * row["training_variety"] and not is_growing


def _first_steps_of_variety(row: dict[str, float]) -> float:
    """Returns the number of steps that a healthy training may need: more with lower learning rates."""
    return FIRST_STEPS_OF_VARIETY * max(1.0, RECOMMENDED_RATE / row.get("generator_rate", RECOMMENDED_RATE))


def _describe_variety(row: dict[str, float]) -> str:
    drawn, real = row["generated_variety"], row["training_variety"]
    return f"the samples show about {drawn:.0f} different images; equally many real images show {real:.0f}"


def _advise_weaker_discriminator(row: dict[str, float]) -> str:
    if row.get("discriminator_rate", 0.0) > row.get("generator_rate", math.inf):
        return "give both players the same learning rate"
    return "multiply the weight of the penalty by ten" if "penalty" in row else PENALTY


def _advise_stronger_discriminator(row: dict[str, float]) -> str:
    if row.get("discriminator_rate", math.inf) < row.get("generator_rate", 0.0):
        return "give both players the same learning rate"
    return "give the discriminator more filters or layers"


def _advise_variety(row: dict[str, float]) -> str:
    if row.get("latent_dim", math.inf) < SHORT_LATENT:
        return f"give the generator latents of 100 numbers, not {row['latent_dim']:.0f}: --latent-dim 100"
    return "multiply the weight of the penalty by ten" if "penalty" in row else PENALTY


def _shrink(images: np.ndarray) -> np.ndarray:
    """Scales images to at most 8x8 pixels by averages. Returns floats (count, values)."""
    return np.stack([_shrink_one(image) for image in images])  # one by one, to save memory


def _shrink_one(image: np.ndarray) -> np.ndarray:
    values = image.astype(np.float64)
    values = to_float(values) if image.dtype == np.uint8 else values
    for axis in (0, 1):
        length = values.shape[axis]
        starts = np.unique(np.arange(SIDE) * length // SIDE)
        sizes = np.diff(np.append(starts, length)).reshape([-1 if n == axis else 1 for n in range(3)])
        values = np.add.reduceat(values, starts, axis) / sizes
    return values.ravel()


def _square_distances(points: np.ndarray) -> np.ndarray:
    squares = (points**2).sum(1)
    return np.maximum(squares[:, np.newaxis] + squares - 2 * points @ points.T, 0)
