"""The encoders of texts and images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gankit_conditioners.alphabet import ALPHABET, spell
from gankit_conditioners.encoders import ImageEncoder, TextEncoder


def tiny(length: int = 48) -> TextEncoder:
    """Build a text encoder of a few weights."""
    torch.manual_seed(0)
    return TextEncoder(5, (4, 6, 3), length)


def test_201_characters_become_18_steps() -> None:
    """By hand: 201 - 3 = 198, / 3 = 66, - 3 = 63, / 3 = 21, - 3 = 18."""
    encoder = TextEncoder(1024, (384, 512, 512), 201)
    lengths = []
    for layer in encoder.convolutions:
        if not isinstance(layer, nn.ReLU):
            layer.register_forward_hook(
                lambda _module, _inputs, output: lengths.append(output.shape[2])
            )
    with torch.device("meta"):
        vectors = encoder.to("meta")(torch.empty(2, 201, dtype=torch.uint8))
    assert lengths == [198, 66, 63, 21, 18]
    assert vectors.shape == (2, 1024)


def test_48_characters_are_the_fewest() -> None:
    """By hand: 48, 45, 15, 12, 4, 1; one character less leaves no step."""
    assert tiny(48).convolutions(torch.zeros(1, 70, 48)).shape == (1, 3, 1)
    with pytest.raises(ValueError, match=r"length = 47 .* set length to 48 or more"):
        tiny(47)


@pytest.mark.parametrize(("length", "read"), [(56, 48), (57, 57), (64, 57), (201, 201)])
def test_the_length_is_what_is_truly_read(length: int, read: int) -> None:
    """Characters that the poolings drop are not in it, and make no difference."""
    encoder = tiny(length)
    assert encoder.length == read
    one_hot = torch.rand(1, 70, length, requires_grad=True)
    encoder.convolutions(one_hot).sum().backward()
    assert one_hot.grad is not None
    assert not one_hot.grad[..., read:].any()
    shorter = encoder.convolutions(one_hot[..., :read])
    torch.testing.assert_close(encoder.convolutions(one_hot), shorter)


def slow_encoding(encoder: TextEncoder, codes: list[int]) -> Tensor:
    """Encode one text in float64 with loops and the gates written out (Cho 2014)."""
    w = {name: t.double() for name, t in encoder.state_dict().items()}
    steps = torch.zeros(len(codes), len(ALPHABET), dtype=torch.float64)
    for place, code in enumerate(codes):
        if code:
            steps[place, code - 1] = 1
    for layer, pooled in (("0", True), ("3", True), ("6", False)):
        kernel = w[f"convolutions.{layer}.weight"]  # (out, in, 4)
        bias = w[f"convolutions.{layer}.bias"]
        windows = [steps[n : n + 4].T for n in range(len(steps) - 3)]
        rows = [(kernel * window).sum((1, 2)) + bias for window in windows]
        steps = torch.stack(rows).clamp(min=0)
        if pooled:
            whole = len(steps) // 3 * 3
            steps = torch.stack([steps[n : n + 3].amax(0) for n in range(0, whole, 3)])
    hidden = torch.zeros(steps.shape[1], dtype=torch.float64)
    total = torch.zeros_like(hidden)
    for step in steps:
        given = w["recurrent.weight_ih_l0"] @ step + w["recurrent.bias_ih_l0"]
        kept = w["recurrent.weight_hh_l0"] @ hidden + w["recurrent.bias_hh_l0"]
        (r, z, n), (hr, hz, hn) = given.chunk(3), kept.chunk(3)
        z = torch.sigmoid(z + hz)
        n = torch.tanh(n + torch.sigmoid(r + hr) * hn)
        hidden = (1 - z) * n + z * hidden
        total += hidden
    mean = total / len(steps)
    return w["project.weight"] @ mean + w["project.bias"]


def test_the_encoder_agrees_with_loops_in_float64() -> None:
    """Convolution, pooling, gates and the mean over steps, written out."""
    encoder, text = tiny(75), "a small red circle, at the top left!"
    codes = spell([text], 75)
    with torch.no_grad():
        quick = encoder(codes)[0].double()
    torch.testing.assert_close(
        quick, slow_encoding(encoder, codes[0].tolist()), atol=1e-6, rtol=1e-5
    )


def test_texts_are_embedded_one_by_one() -> None:
    """A text's vector does not depend on the texts, or how many, beside it."""
    encoder = tiny()
    texts = [f"text {n}" for n in range(600)]
    together = encoder.embed(texts)
    assert together.shape == (600, 5)
    torch.testing.assert_close(together[555:556], encoder.embed(["text 555"]))


def test_no_texts_are_no_rows() -> None:
    """Embedding nothing gives an empty table of the right width."""
    assert tiny().embed([]).shape == (0, 5)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Red", " red "), ("red", "red中中"), ("x" * 48, "x" * 48 + "yz"), ("né", "ne")],
)
def test_texts_that_are_spelled_alike_are_embedded_alike(one: str, other: str) -> None:
    """Case, outer space, unknown characters at the end and a cut end do not count."""
    same, too = tiny().embed([one, other])
    assert torch.equal(same, too)


def test_every_character_within_the_length_counts() -> None:
    """The order of characters and the last of them make a difference."""
    texts = ["ab", "ba", "x" * 47 + "y", "x" * 47 + "z"]
    torch.manual_seed(0)
    rows = TextEncoder(5, (32, 32, 32), 48).embed(texts)
    assert len(rows.unique(dim=0)) == 4


@pytest.mark.parametrize(
    ("shape", "side"), [((1, 28, 28), 32), ((3, 32, 20), 32), ((3, 64, 80), 64)]
)
def test_images_of_any_size_are_encoded(shape: tuple[int, ...], side: int) -> None:
    """Small images are brought to 32 pixels, large ones to 64, then halved to 4."""
    with torch.device("meta"):
        encoder = ImageEncoder(shape, 7)
        seen = encoder.convolutions(torch.empty(2, shape[0], side, side))
        assert seen.shape[1] == encoder.project.in_features
        assert seen.shape[1] // 16 == {32: 128, 64: 256}[side]
        assert encoder(torch.empty(2, *shape)).shape == (2, 7)
