"""The two halves of the joint embedding: an encoder of texts, an encoder of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gankit_conditioners.alphabet import ALPHABET, spell

SHORTEST = 48  # characters that leave one step: 48, 45, 15, 12, 4, 1
STRIDE = 9  # characters from one step to the next

_CHUNK = 256  # texts embedded at once: 80 MB of activations at the paper's widths


class TextEncoder(nn.Module):
    """Convolutions over characters, then a recurrent layer averaged over its steps.

    Reed et al. 2016, "Learning deep representations of fine-grained visual
    descriptions" (CVPR), section 4.2: convolutions of 4 characters, the first two
    followed by max pooling of 3, so that 201 characters become 198, 66, 63, 21 and
    18 steps. The recurrent layer is a gated one (GRU), as in the encoder of birds that
    the authors published for the GAN; their encoder of flowers has a third pooling and
    a plain recurrent layer.

    Lengths that do not divide evenly lose their end to the poolings, so that ``length``
    is lowered to the nearest of 48, 57, 66, … 201, …; no vector changes by that.

    Deviation: weights are drawn for the width of each layer (He et al. 2015), not
    uniform ±0.08 throughout, which suits the paper's widths alone.

    Raises:
        ValueError: ``length`` is under 48, which leaves no step.
    """

    letters: Tensor

    def __init__(self, size: int, channels: tuple[int, int, int], length: int) -> None:
        super().__init__()
        if length < SHORTEST:
            raise ValueError(
                f"length = {length} leaves nothing after the convolutions and poolings "
                f"of the text encoder; set length to {SHORTEST} or more"
            )
        first, second, third = channels
        self.size = size
        self.length = length - (length - SHORTEST) % STRIDE
        codes = torch.arange(1, len(ALPHABET) + 1, dtype=torch.uint8)
        self.register_buffer("letters", codes, persistent=False)
        self.convolutions = nn.Sequential(
            nn.Conv1d(len(ALPHABET), first, 4),
            nn.ReLU(),
            nn.MaxPool1d(3),
            nn.Conv1d(first, second, 4),
            nn.ReLU(),
            nn.MaxPool1d(3),
            nn.Conv1d(second, third, 4),
            nn.ReLU(),
        )
        self.recurrent = nn.GRU(third, third, batch_first=True)
        self.project = nn.Linear(third, size)
        self.apply(_initialise)

    def forward(self, codes: Tensor) -> Tensor:
        """Encode spelled texts, uint8 (B, length), as vectors, (B, size)."""
        one_hot = codes[:, None, :] == self.letters[:, None]  # (B, 70, length)
        steps = self.convolutions(one_hot.float()).transpose(1, 2)  # (B, T, channels)
        hidden, _ = self.recurrent(steps)
        vectors: Tensor = self.project(hidden.mean(dim=1))
        return vectors

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed texts wherever the weights are, and give (N, size) on the CPU."""
        rows = [torch.zeros(0, self.size)]
        for start in range(0, len(texts), _CHUNK):
            codes = spell(texts[start : start + _CHUNK], self.length)
            rows.append(self(codes.to(self.letters.device)).float().cpu())
        return torch.cat(rows)


class ImageEncoder(nn.Module):
    """A small convolutional encoder of images, trained from nothing with the texts.

    Ours, for want of a download: images of any size are brought to 32 or 64 pixels,
    halved to 4×4 by strided convolutions, and projected. Positions are kept up to the
    projection, because captions speak of them.
    """

    def __init__(self, sample_shape: tuple[int, ...], size: int) -> None:
        super().__init__()
        colours, height, width = sample_shape
        self.side = 32 if max(height, width) <= 48 else 64
        layers: list[nn.Module] = []
        channels = 32
        side = self.side
        while side > 4:
            layers += [
                nn.Conv2d(colours, channels, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            colours, channels, side = channels, 2 * channels, side // 2
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.project = nn.Linear(colours * side * side, size)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images, (B, C, H, W) within about [-1, 1], as vectors, (B, size)."""
        if images.shape[-2:] != (self.side, self.side):
            images = F.interpolate(images, (self.side, self.side), mode="bilinear")
        vectors: Tensor = self.project(self.convolutions(images))
        return vectors


def _initialise(module: nn.Module) -> None:
    """Draw the weights of a layer that rectifiers follow; GRUs keep torch's own."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
