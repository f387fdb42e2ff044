"""Where real samples come from: torchvision's sets, folders, drawn scenes."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Part, hookimpl


@hookimpl
def gankit_parts() -> Iterator[Part]:
    """Yield the data sets of this plugin."""
    yield Part(
        "dataset",
        "mnist",
        "gankit_datasets.mnist:mnist",
        summary="Handwritten digits, 28 x 28 grey (LeCun et al. 1998)",
    )
    yield Part(
        "dataset",
        "stacked-mnist",
        "gankit_datasets.stacked_mnist:stacked_mnist",
        summary="Three digits in the channels of a picture: a thousand modes",
    )
    yield Part(
        "dataset",
        "fashion-mnist",
        "gankit_datasets.fashion_mnist:fashion_mnist",
        summary="Clothes, 28 x 28 grey (Xiao et al. 2017)",
    )
    yield Part(
        "dataset",
        "cifar10",
        "gankit_datasets.cifar10:cifar10",
        summary="Ten kinds of things, 32 x 32 colour (Krizhevsky 2009)",
    )
    yield Part(
        "dataset",
        "image-folder",
        "gankit_datasets.image_folder:image_folder",
        summary="Pictures of any size in a folder or zip; sub-folders are classes",
    )
    yield Part(
        "dataset",
        "captioned-folder",
        "gankit_datasets.captioned_folder:captioned_folder",
        summary="Pictures in a folder or zip, captions beside them or in one file",
    )
    yield Part(
        "dataset",
        "webdataset",
        "gankit_datasets.webdataset:webdataset",
        summary="Pictures in tars, with captions and classes beside them",
    )
    yield Part(
        "dataset",
        "gaussians",
        "gankit_datasets.gaussians:Gaussians",
        summary="Points of a mixture of Gaussians in the plane, to count modes",
    )
    yield Part(
        "dataset",
        "shapes",
        "gankit_datasets.shapes:DrawnShapes",
        summary="Drawn scenes of coloured shapes with captions; needs no download",
    )
