"""A space that pictures and captions share: which caption fits which picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gankit_metrics.features import Progress

_WORD = re.compile(r"\w+")
_SEEN = 2  # times that a word must occur to be known
_BATCH = 256


class JointSpace(nn.Module):
    """Pictures by their features, captions by their words, as unit vectors.

    Both are taught by the symmetric cross-entropy of Radford et al. 2021 ("Learning
    transferable visual models from natural language supervision", figure 3), from
    features (N, d) that stay as they are. A caption is the mean of its words' vectors:
    it knows what is spoken of, and nothing of the order.

    Args:
        features: of the training pictures, (N, d).
        captions: of each, at least one.
        size: numbers of a vector.
    """

    def __init__(
        self, features: Tensor, captions: Sequence[Sequence[str]], size: int = 256
    ) -> None:
        super().__init__()
        words = Counter(
            w for texts in captions for text in texts for w in words_of(text)
        )
        known = sorted(word for word, count in words.items() if count >= _SEEN)
        self._index = {word: i + 1 for i, word in enumerate(known)}  # 0 is no word
        self._middle, self._width = features.mean(0), features.std(0).clamp(min=1e-6)
        self._words = nn.EmbeddingBag(len(known) + 1, size, mode="mean", padding_idx=0)
        self._texts = nn.Sequential(nn.ReLU(), nn.Linear(size, size))
        self._pictures = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(features.shape[1], size)
        )
        self._scale = nn.Parameter(torch.tensor(10.0).log())

    def pictures(self, features: Tensor) -> Tensor:
        """Turn features (N, d) into unit vectors (N, size)."""
        standard = (features - self._middle) / self._width
        return functional.normalize(self._pictures(standard), dim=1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Turn captions into unit vectors (N, size)."""
        rows = [
            [self._index.get(w, 0) for w in words_of(text)] or [0] for text in texts
        ]
        longest = max(map(len, rows))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return functional.normalize(self._texts(self._words(padded)), dim=1)

    def fit(
        self,
        features: Tensor,
        captions: Sequence[Sequence[str]],
        *,
        steps: int,
        seed: int,
        progress: Progress,
    ) -> None:
        """Teach both sides; each step has other pictures, and one caption of each."""
        rng = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        self.train()
        for step in range(steps):
            rows = torch.randperm(len(features), generator=rng)[:_BATCH]
            picks = torch.rand(len(rows), generator=rng).tolist()
            chosen = [
                captions[row][int(pick * len(captions[row]))]
                for row, pick in zip(rows.tolist(), picks, strict=True)
            ]
            logits = self.pictures(features[rows]) @ self.texts(chosen).T
            logits = logits * self._scale.exp().clamp(max=100)
            own = torch.arange(len(rows))
            loss = functional.cross_entropy(logits, own)
            loss = loss + functional.cross_entropy(logits.T, own)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if step % 50 == 0:
                progress(step, steps, "teaching pictures and captions")
        progress(steps, steps, "teaching pictures and captions")
        self.eval()


def words_of(text: str) -> list[str]:
    """Cut a text into words, in lower case."""
    return _WORD.findall(text.casefold())
