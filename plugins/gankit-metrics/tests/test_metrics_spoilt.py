"""Scores of samples that are spoilt in a known way move as they must."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from doctored import CLASSES, CPU, Bars, Doctored, blurred, noisy

from gankit import Facts
from gankit.errors import DataError
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features.classifier import Classifier
from gankit_metrics.features.pixels import Pixels
from gankit_metrics.metrics.attributes import Attributes
from gankit_metrics.metrics.class_diversity import ClassDiversity
from gankit_metrics.metrics.cmmd import CMMD
from gankit_metrics.metrics.frechet import Frechet
from gankit_metrics.metrics.gan_test import GanTest
from gankit_metrics.metrics.gan_train import GanTrain
from gankit_metrics.metrics.inception_score import InceptionScore
from gankit_metrics.metrics.kid import KID
from gankit_metrics.metrics.memorisation import Memorisation
from gankit_metrics.metrics.modes import Modes
from gankit_metrics.metrics.nearest_neighbour import NearestNeighbour
from gankit_metrics.metrics.overfitting import Overfitting
from gankit_metrics.metrics.parzen import Parzen
from gankit_metrics.metrics.precision_recall import PrecisionRecall
from gankit_metrics.metrics.two_sample import TwoSample
from gankit_metrics.reference import Reference
from gankit_metrics.some import kept

COUNT = 240
TRAIN = Bars(400)


@pytest.fixture(autouse=True, scope="module")
def _quick(tmp_path_factory):
    """Keep fits from the user's cache, and short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(Classifier.__init__, "__kwdefaults__", SHORT)
        yield


ONE_OF_EACH = Bars(40)  # of which one a class is left
ONE_OF_EACH.labels = [
    label if label not in ONE_OF_EACH.labels[:i] else -1
    for i, label in enumerate(ONE_OF_EACH.labels)
]
SHORT = Classifier.__init__.__kwdefaults__ | {"steps": 60, "width": 8, "size": 16}

# spoilt samples, by what was done to them
SAMPLERS = {
    "new bars": Doctored(),
    "noisy": Doctored(spoil=noisy),
    "blurred": Doctored(spoil=blurred),
    "two classes alone": Doctored(relabel=lambda labels: labels % 2),
    "one bar": Doctored(source=ONE_OF_EACH),
    "copies": Doctored(source=TRAIN),
    "others' labels": Doctored(relabel=lambda labels: (labels + 1) % CLASSES),
    "asked by captions": Doctored(reads="captions"),
    "others' captions": Doctored(
        reads="captions", relabel=lambda labels: (labels + 1) % CLASSES
    ),
}


@cache
def reference() -> Reference:
    """Read the bars once."""
    return Reference(TRAIN, device=CPU)


def scores(metric, sampler: str, **options) -> dict[str, Score]:
    """Measure one of the samplers."""
    options = {"count": COUNT, "baselines": True, **options}
    evaluation = Evaluation(SAMPLERS[sampler], reference(), **options)
    return {score.name: score for score in metric(evaluation)}


def value(metric, name: str, sampler: str) -> float:
    """Measure one of the samplers, and return one score's value."""
    return scores(metric, sampler)[name].value


@pytest.mark.parametrize(
    ("metric", "name", "worse"),
    [
        (KID(Pixels), "kid", ["noisy", "blurred", "two classes alone", "one bar"]),
        (Frechet(Pixels), "frechet", ["noisy", "blurred", "two classes alone"]),
        (CMMD(Pixels), "cmmd", ["noisy", "blurred", "two classes alone", "one bar"]),
        (PrecisionRecall(Pixels), "precision", ["noisy", "blurred"]),
        (PrecisionRecall(Pixels), "density", ["noisy", "blurred"]),
        (PrecisionRecall(Pixels), "recall", ["two classes alone", "one bar"]),
        (PrecisionRecall(Pixels), "coverage", ["noisy", "two classes alone"]),
        (InceptionScore(), "inception-score", ["two classes alone"]),
        (Parzen(), "parzen", ["two classes alone", "blurred"]),
        (GanTest(), "gan-test", ["two classes alone", "others' labels"]),
        (GanTrain(), "gan-train", ["others' labels", "two classes alone"]),
        (NearestNeighbour(400), "nearest-neighbour-error", ["others' labels"]),
        (TwoSample(), "two-sample", ["noisy", "blurred", "one bar"]),
        (Modes(), "modes", ["two classes alone"]),
        (Modes(), "modes-kl", ["two classes alone"]),
    ],
    ids=lambda told: told if isinstance(told, str) else "",
)
def test_spoilt_samples_score_worse(metric, name, worse):
    """By three times more than another draw of good ones changes the score."""
    good = scores(metric, "new bars")[name]
    again = scores(metric, "new bars", seed=1)[name].value
    sign = {"lower": 1, "higher": -1}[good.better]
    for sampler in worse:
        off = sign * (value(metric, name, sampler) - good.value)
        assert off > max(0, 3 * abs(again - good.value)), sampler


def test_the_kernel_distance_of_good_samples_is_nought_on_average():
    """As it is for the training data: conditions are drawn anew for each seed.

    With those of the real samples themselves it is five deviations below.
    """
    each = [scores(KID(Pixels), "new bars", seed=s)["kid"] for s in range(8)]
    mean = sum(score.value for score in each) / 8
    assert abs(mean) < 3 * each[0].error
    assert abs(each[0].details["train against it"]) < 3 * each[0].error


def test_copies_are_told_from_new_samples():
    """By nothing but the distances to the training items."""
    new, copied = (scores(Memorisation(Pixels), s) for s in ("new bars", "copies"))
    assert copied["memorisation"].value == 1.0
    assert copied["memorisation"].details["ratio of median distances"] == 0.0
    assert abs(new["memorisation"].value - 0.5) < 0.1
    assert value(KID(Pixels), "kid", "copies") < value(KID(Pixels), "kid", "noisy")


def test_one_picture_a_class_has_no_diversity():
    """And passes the test of classes all the same."""
    alike = scores(ClassDiversity(Pixels), "one bar")["class-diversity"]
    varied = scores(ClassDiversity(Pixels), "new bars")["class-diversity"]
    assert alike.value == 0.0
    assert abs(varied.value - 1) < 0.1
    assert value(GanTest(), "gan-test", "one bar") > 0.9


def test_a_wrong_label_is_found_however_good_the_picture_is():
    """The classifier sees a neighbour's class every time."""
    wrong = scores(GanTest(), "others' labels")["gan-test"]
    assert wrong.value < 0.05
    assert wrong.details["on test"] > 0.95
    assert wrong.features.startswith("classifier@")


def test_captions_are_judged_beside_those_of_others():
    """What is drawn for its own caption is right, and wrong for another's."""
    own = scores(Attributes(), "asked by captions")
    assert own["attributes"].value > 0.95
    assert {*own["attributes"].details} == {"place", "of real pictures"}
    assert own["attributes"].details["of real pictures"] > 0.95
    # one in four of the next ones is of the same class
    assert own["attributes-wrong-captions"].value < 0.4
    others = scores(Attributes(), "others' captions")
    assert others["attributes"].value < 0.05


def test_parzen_is_measured_as_the_papers_did():
    """Of all test pictures, a re-computation in float64."""
    score = scores(Parzen(), "new bars")["parzen"]
    evaluation = Evaluation(SAMPLERS["new bars"], reference(), count=COUNT)
    made = evaluation.generated.samples.flatten(1).double() / 255
    test = evaluation.data("test").dataset.all_samples.flatten(1).double() / 255
    sigma = score.details["sigma"]
    squares = (test[:, None] - made[None]).square().sum(2)  # (T, N)
    logs = torch.logsumexp(-squares / (2 * sigma**2), 1) - math.log(COUNT)
    norm = 256 * math.log(sigma * math.sqrt(2 * math.pi))
    assert score.value == pytest.approx(float((logs - norm).mean()), rel=1e-6)
    assert score.error == pytest.approx(float(logs.std() / len(test) ** 0.5), rel=1e-2)


def test_parzen_of_validation_leaves_out_what_sigma_was_chosen_by(monkeypatch):
    """As a probe needs it, that must not see the test split."""
    monkeypatch.setattr("gankit_metrics.metrics.parzen._CHOSEN_ON", 100)
    score = scores(Parzen(), "new bars", split="validation")["parzen"]
    assert score.split == "validation"
    evaluation = Evaluation(SAMPLERS["new bars"], reference(), count=COUNT)
    made, held = (
        some.samples.flatten(1).double() / 255
        for some in (
            evaluation.generate(COUNT, "validation"),
            evaluation.real("validation", 400),
        )
    )
    squares = (held[:, None] - made[None]).square().sum(2)  # (V, N)
    sigma = score.details["sigma"]
    norm = 256 * math.log(sigma * math.sqrt(2 * math.pi)) + math.log(COUNT)
    logs = torch.logsumexp(-squares / (2 * sigma**2), 1) - norm
    assert score.value == pytest.approx(float(logs[100:].mean()), rel=1e-6)
    monkeypatch.setattr("gankit_metrics.metrics.parzen._CHOSEN_ON", 400)
    with pytest.raises(ValueError, match="it has no more to measure"):
        scores(Parzen(), "new bars", split="validation")


class Knows:
    """In the place of a `gankit.Judge`: adds a point to each bar that it has seen."""

    def __init__(self, bonus: float) -> None:
        self.bonus = bonus
        self.seen = {bar.numpy().tobytes() for bar in TRAIN.all_samples}

    def judge(self, samples, conditions=(), *, seed=0):
        """Say how bright a bar is, no brighter one being of another class."""
        assert len(conditions) == len(samples)
        bars = (samples * 255).round().to(torch.uint8)
        known = [self.bonus * (bar.numpy().tobytes() in self.seen) for bar in bars]
        return samples.mean((1, 2, 3)) + torch.tensor(known)


def test_a_discriminator_that_knows_its_training_items_is_found_out():
    """One that does not ranks new items among them."""

    def found(bonus, sampler):
        return scores(Overfitting(), sampler, judge=lambda: Knows(bonus))["overfitting"]

    fair = found(0, "new bars")
    assert abs(fair.value - 0.5) < 3 * fair.error
    knows = found(1, "new bars")
    assert knows.value == 1
    assert knows.details["r_v"] == pytest.approx(1, abs=0.02)
    copies = found(1, "copies")
    assert copies.value == 1
    assert copies.details["AUC of new over generated"] == 0
    darker = Doctored(spoil=lambda bars, rng: bars - 1)  # all of it is black
    evaluation = Evaluation(darker, reference(), count=COUNT, judge=lambda: Knows(0.1))
    (score,) = Overfitting()(evaluation)
    train, new = (
        evaluation.real(split).floats().double().mean() for split in ("train", "test")
    )
    r_v = (train + 0.1 - new) / (train + 0.1)  # equation 1, by hand
    assert score.details["r_v"] == pytest.approx(float(r_v), rel=1e-5)
    with pytest.raises(ValueError, match="discriminator, which is not there"):
        scores(Overfitting(), "new bars")


def test_samples_are_compared_as_they_would_be_stored():
    """256 steps, clipped; pictures of another range in [0, 1]; vectors as they are."""
    given = torch.tensor([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0, 1.7])
    pixels = kept(given.view(1, 1, 1, 7), Facts((1, 1, 7)))
    assert pixels.flatten().tolist() == [0, 0, 0, 1, 128, 255, 255]
    stored = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(kept(stored / 255, Facts((1, 16, 16))), stored)
    wide = kept(
        torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3), Facts((1, 1, 3), (-1, 1))
    )
    assert wide.flatten().tolist() == [0.0, 0.5, 1.0]
    vectors = torch.tensor([[-1.0, 7.0]])
    assert torch.equal(kept(vectors, Facts((2,), (-1, 1))), vectors)


def test_conditions_are_of_real_items_and_known():
    """Drawn anew for each seed; or each item's once, in the order of real samples."""
    evaluation = Evaluation(SAMPLERS["new bars"], reference(), count=101)
    other = Evaluation(SAMPLERS["new bars"], reference(), count=101, seed=1)
    once, real = evaluation.generate(101, each_once=True), evaluation.real()
    assert torch.equal(once.labels(), real.labels())
    assert once.texts() == real.texts()
    assert once.annotations["captions"][0] == real.annotations["captions"][0][:1]
    made = evaluation.generated
    assert not torch.equal(made.labels(), other.generated.labels())
    for some in (made, once):
        places = some.samples.float().mean((1, 2)).argmax(1) // 4
        assert torch.equal(places, some.labels())


@pytest.mark.parametrize(
    ("metric", "sampler", "problem"),
    [
        (GanTest(), Doctored(reads=""), "conditioned on nothing, not on label"),
        (Attributes(), Doctored(), "on its label, not on captions"),
        (GanTest(Pixels), Doctored(), "pixels gives no classes"),
        (KID(Pixels), Doctored(), "2 of the 3 vectors"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(metric, sampler, problem):
    """Each says what is lacking."""
    with pytest.raises(ValueError, match=problem):
        list(metric(Evaluation(sampler, reference(), count=2)))


def test_a_split_that_is_not_held_out_is_refused():
    """With those that are there; and a metric that needs one says so too."""
    with pytest.raises(DataError, match="no 'tset'; did you mean 'test'"):
        Evaluation(Doctored(), reference(), count=8, split="tset")
    alone = Reference(Bars(40, holds_out=False), device=CPU)
    assert Evaluation(Doctored(), alone, count=8).split == "train"
    with pytest.raises(DataError, match=r"no 'validation'.*hold some out"):
        list(Parzen()(Evaluation(Doctored(), alone, count=8)))
    with pytest.raises(ValueError, match="not trained on"):
        list(Memorisation(Pixels)(Evaluation(Doctored(), alone, count=8)))
