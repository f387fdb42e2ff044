"""Measures of generated samples, and what they are compared by."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Command, Kind, Part, hookimpl

_METRICS = {
    "frechet": (
        "Frechet",
        "Fréchet distance of features, as FID is of Inception's (Heusel et al. 2017)",
    ),
    "kid": ("KID", "Kernel Inception distance (Bińkowski et al. 2018)"),
    "cmmd": ("CMMD", "Gaussian MMD of embeddings (Jayasumana et al. 2024)"),
    "inception-score": ("InceptionScore", "Inception score (Salimans et al. 2016)"),
    "precision-recall": (
        "PrecisionRecall",
        "Precision, recall, density, coverage (Kynkäänniemi 2019, Naeem 2020)",
    ),
    "parzen": ("Parzen", "Parzen-window log-likelihood (Goodfellow et al. 2014)"),
    "gan-test": (
        "GanTest",
        "Whether samples are of their class (Shmelkov et al. 2018)",
    ),
    "gan-train": ("GanTrain", "Whether samples teach classes (Shmelkov et al. 2018)"),
    "class-diversity": ("ClassDiversity", "How varied samples of one class are"),
    "nearest-neighbour": (
        "NearestNeighbour",
        "1-NN classifier that knows samples alone (Radford et al. 2015)",
    ),
    "memorisation": ("Memorisation", "Copies of training items (Meehan et al. 2020)"),
    "overfitting": ("Overfitting", "What D knows of training items (Karras 2020)"),
    "two-sample": ("TwoSample", "A fresh classifier (Lopez-Paz & Oquab 2017)"),
    "modes": ("Modes", "Modes hit, and KL over them (Srivastava et al. 2017)"),
    "attributes": ("Attributes", "Whether pictures show what captions ask for"),
    "r-precision": (
        "RPrecision",
        "Whether a picture fits its caption (Xu et al. 2018)",
    ),
}
_FEATURES = {
    "efficientnet-lite0": (
        "efficientnet:EfficientNetLite0",
        "A network that has learnt from ImageNet's photographs",
    ),
    "classifier": (
        "classifier:Classifier",
        "A network that has learnt the data's own labels",
    ),
    "pixels": ("pixels:Pixels", "The numbers themselves"),
    "inception": (
        "fidelity:Inception",
        "The network of the FID; weights are a download",
    ),
    "dinov2": ("fidelity:DinoV2", "DINOv2 (Oquab et al. 2023); weights are a download"),
}


@hookimpl
def gankit_parts() -> Iterator[Part | Kind]:
    """Yield the two kinds, and this plugin's parts of them."""
    yield Kind("metric", "measures a run's samples beside real ones", block="metrics")
    yield Kind("features", "what samples are compared by")
    for name, (attribute, summary) in _METRICS.items():
        module = f"gankit_metrics.metrics.{name.replace('-', '_')}"
        yield Part("metric", name, f"{module}:{attribute}", summary=summary)
    for name, (target, summary) in _FEATURES.items():
        where = f"gankit_metrics.features.{target}"
        yield Part("features", name, where, summary=summary)
    yield Part(
        "hook",
        "probe",
        "gankit_metrics.probe:Probe",
        summary="Measures a metric during training, cheaply",
    )


@hookimpl
def gankit_commands() -> Iterator[Command]:
    """Yield the command that measures a run."""
    yield Command(
        "evaluate", "gankit_metrics.command:evaluate", "Measure a run's samples."
    )
