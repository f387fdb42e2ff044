"""Captions as vectors of a character-level encoder fitted to the data's own images.

Reed et al. 2016, "Generative adversarial text to image synthesis" (ICML), sections 3.2
and 4.1, with the encoder of Reed et al. 2016, "Learning deep representations of
fine-grained visual descriptions" (CVPR).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

import torch
from attrs import asdict
from torch import Tensor, nn

from gankit import Count, Facts, Fraction, Positive, Texts, cache
from gankit.contracts import ReadData
from gankit_conditioners.alphabet import ALPHABET, is_legible
from gankit_conditioners.captions import CaptionTable, Progress, mean_of_some
from gankit_conditioners.encoders import TextEncoder
from gankit_conditioners.fitting import (
    FitLoss,
    ImageFeatures,
    Settings,
    fit_text_encoder,
)

_MEASURED = 4096  # distinct captions that the scale is taken over
_WORTH_KEEPING = 1000  # captions, which take a second or more to embed


class CharCNNRNN(nn.Module):
    """The mean embedding of some random captions of each item.

    The encoder is fitted once and frozen; every caption is embedded once, and a step
    only picks among the embeddings.

    Deviations: without a download, images are seen by a small encoder that learns
    along, not by GoogLeNet's features. Embeddings are divided by one number, so that
    those of the data have a root mean square of 1 like the noise that they join: how
    far the hinge lets them grow depends on the data and the length of the fit.

    Attributes:
        notes: what was lost of the captions last given to ``tokens``, for the user.

    Args:
        size: numbers of an embedding.
        channels: widths of the three convolutions over characters.
        length: characters of a caption that are read, longer ones are cut; 48 or 9, 18,
            27, … more, and a number between counts as the lower one.
        captions: random captions of an item whose embeddings are averaged at each
            use, all if there are fewer; 4 in the authors' code, 1 in the paper.
        fit_steps: updates while fitting; the authors' 200 epochs of 150.
        fit_batch: pairs of image and caption that are told apart at once. With as
            many classes or more a batch holds distinct classes, with fewer or none
            every item is its own class; lower it to the number of classes to fit
            to few classes. Distinct classes never pit two captions of one class
            against each other: what only they differ in, as the sizes in drawn
            scenes, is learnt less well.
        fit_loss: `structured`, the paper's; or `contrastive`, whose batches hold any
            items: it learns what tells captions of one class apart too, and looks most
            at what is mistaken most.
        fit_lr: learning rate of RMSprop; narrow encoders take a higher one, 2e-3 at
            widths of 64 and 128.
        fit_decay: factor of the learning rate at each 200th of the steps.
        image_features: `googlenet` for the paper's pre-trained features, which need a
            download; `convnet` for a small encoder of images that learns along.

    Raises:
        ValueError: the data set has no captions or no images, or ``length`` is too
            short for the convolutions.
    """

    reads = "captions"
    scale: Tensor
    fitted: Tensor

    def __init__(
        self,
        facts: Facts,
        *,
        size: Count = 1024,
        channels: tuple[Count, Count, Count] = (384, 512, 512),
        length: Count = 201,
        captions: Count = 4,
        fit_steps: Count = 30_000,
        fit_batch: Count = 40,
        fit_lr: Positive = 7e-4,
        fit_decay: Fraction = 0.98,
        fit_loss: FitLoss = "structured",
        image_features: ImageFeatures = "convnet",
    ) -> None:
        super().__init__()
        _check(facts, fit_batch)
        self.size = size
        self.captions = captions
        self.notes: list[str] = []
        self._build = partial(TextEncoder, size, channels, length)
        self._settings = Settings(
            fit_steps, fit_batch, fit_lr, fit_decay, image_features, fit_loss
        )
        self.encoder = self._build().requires_grad_(False)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def fit(
        self, data: ReadData, /, *, device: torch.device, seed: int, progress: Progress
    ) -> None:
        """Fit the encoder to images and captions, or read the same fit from the cache.

        The cache is the folder ``char-cnn-rnn`` in ``GANKIT_CACHE``, or else in
        ``gankit`` in the user's cache folder. The module is left on ``device``.

        Raises:
            ValueError: the data cannot be fitted to, or the fit diverged.
        """
        kept = cache.path_of("char-cnn-rnn", self._facts_of_fit(data, seed))
        state = cache.read(kept, like=self.state_dict())
        steps = self._settings.steps
        if state is None:
            state = self._fit(data, device, seed, progress)
            cache.write(kept, state)
        else:
            progress(steps, steps, f"the text encoder was fitted before: {kept}")
        self.load_state_dict(state)
        self.to(device)

    def _fit(
        self, data: ReadData, device: torch.device, seed: int, progress: Progress
    ) -> dict[str, Tensor]:
        """Fit a fresh encoder and measure its scale."""
        captions = data.annotations[self.reads]
        # the fingerprint has read all items: a broken one has its neighbour's picture
        kept = [() if i in data.broken else some for i, some in enumerate(captions)]
        table = CaptionTable.of(kept)
        lost = "; ".join(table.notes(self.encoder.length))
        progress(0, self._settings.steps, lost or "fitting the text encoder")
        encoder = fit_text_encoder(
            self._build,
            data,
            table,
            self._settings,
            device=device,
            seed=seed,
            progress=progress,
        )
        rng = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(table.distinct), generator=rng)
        some = [table.distinct[place] for place in order[:_MEASURED].tolist()]
        embedded = encoder.embed(some)
        state = {f"encoder.{name}": t for name, t in encoder.state_dict().items()}
        state["scale"] = embedded.square().mean().sqrt()
        state["fitted"] = torch.tensor(True)
        return state

    def _facts_of_fit(self, data: ReadData, seed: int) -> dict[str, object]:
        """Return all that the fitted state follows from."""
        return {
            "version": version("gankit-conditioners"),
            "data": data.fingerprint(),
            "shape": data.facts.sample_shape,
            "encoder": self._build.args,
            "settings": asdict(self._settings),
            "seed": seed,
        }

    def tokens(
        self,
        raw: Sequence[Sequence[str]],
        /,
        *,
        progress: Progress = lambda done, total, text: None,
    ) -> Tensor:
        """Embed all captions of all items, (N, K, size) on the CPU.

        K is the largest number of captions; the places of missing ones are NaN. Each
        distinct caption is embedded once, wherever the module is. Vectors of many are
        kept in the cache, in the folder ``char-cnn-rnn-vectors``.
        """
        table = CaptionTable.of(raw)
        self.notes = table.notes(self.encoder.length)
        if not self.fitted:
            self.notes.append("the text encoder is not fitted: its vectors are random")
        return table.vectors(self.size, self._embedded, progress)

    def _embedded(self, captions: Sequence[str]) -> Tensor:
        """Embed captions, (D, size), or read the vectors of so many from the cache."""
        if len(captions) < _WORTH_KEEPING:
            return self.encoder.embed(captions) / self.scale.cpu()
        facts = {
            "version": version("gankit-conditioners"),
            "encoder": cache.digest_of(self.state_dict()),
            "length": self.encoder.length,
            "captions": list(captions),
        }
        kept = cache.path_of("char-cnn-rnn-vectors", facts)
        found = cache.read(kept, {"vectors": torch.empty(len(captions), self.size)})
        if found is None:
            found = {"vectors": self.encoder.embed(captions) / self.scale.cpu()}
            cache.write(kept, found)
        return found["vectors"]

    def forward(self, tokens: Tensor) -> Tensor:
        """Average random captions of each item: (B, K, size) to (B, size).

        ``captions`` different ones out of those that exist, all equally likely, or all
        if there are fewer; without any, zeros. In eval mode all of them, which is the
        mean of what training sees.
        """
        return mean_of_some(tokens, self.captions if self.training else None)

    def parse(self, text: str, /) -> tuple[str]:
        """Take a text as the one caption of an item.

        Raises:
            ValueError: there is nothing in it that the encoder can read.
        """
        if not is_legible(text):
            raise ValueError(
                f"the caption {text!r} has nothing that the text encoder can read; "
                f"write it with some of these: {ALPHABET.strip()}"
            )
        return (text.strip(),)


def _check(facts: Facts, fit_batch: int) -> None:
    """Refuse what cannot be fitted to."""
    facts.declared(CharCNNRNN.reads, Texts)
    if len(facts.sample_shape) != 3:
        raise ValueError(
            "the conditioner 'char-cnn-rnn' learns from images, but the data set has "
            f"samples of the shape {facts.sample_shape}; choose a data set of images"
        )
    if fit_batch < 2:
        raise ValueError(
            f"fit_batch = {fit_batch} leaves nothing to tell a caption apart from; set "
            "it to 2 or more, 40 as in the paper"
        )
