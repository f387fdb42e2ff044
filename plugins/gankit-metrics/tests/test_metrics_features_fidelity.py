"""The features `inception` and `dinov2`, without their weights."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import torch

from gankit.errors import DataError, PluginError
from gankit_metrics.features.fidelity import DinoV2, Inception

CODE = '''
import torch
from torch import nn


class Means(nn.Module):
    """Stands for DINOv2: means of the channels, each of them eight times."""

    embed_dim = 24

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, pictures):
        assert pictures.shape[1:] == (3, 224, 224)
        return self.weight * pictures.mean(dim=(2, 3)).repeat_interleave(8, dim=1)


def dinov2_vits14(pretrained=True):
    assert not pretrained
    return Means()
'''


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give torch's hub an empty folder, and take the network away."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path / "hub"


@pytest.fixture
def fidelity() -> None:
    """Skip where the extra is not installed."""
    pytest.importorskip("torch_fidelity", reason="needs gankit-metrics[fidelity]")


@pytest.mark.parametrize("features", [Inception, DinoV2])
def test_without_torch_fidelity_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, features: type[Inception | DinoV2]
) -> None:
    """And what needs no download."""
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(PluginError, match=r"gankit-metrics\[fidelity\].*lite0'"):
        features()


@pytest.mark.usefixtures("fidelity")
@pytest.mark.parametrize(
    ("features", "file"),
    [
        (Inception, "weights-inception-2015-12-05-6726825d.pth"),
        (DinoV2, "dinov2_vitl14_pretrain.pth"),
    ],
)
def test_weights_that_are_not_there_are_told_at_once(
    hub: Path, features: type[Inception | DinoV2], file: str
) -> None:
    """Where they are looked for, and where they can be had; no network is asked."""
    with pytest.raises(DataError, match=f"download https://.*{file} to that") as caught:
        features()
    assert str(hub / "checkpoints" / file) in str(caught.value)


@pytest.mark.usefixtures("fidelity")
@pytest.mark.parametrize("features", [Inception, DinoV2])
def test_files_without_weights_are_told(
    tmp_path: Path, features: type[Inception | DinoV2]
) -> None:
    """A page of a proxy, and something that is no state of a network."""
    path = tmp_path / "weights.pth"
    path.write_bytes(b"<html>no such file</html>")
    with pytest.raises(DataError, match=r"holds no weights .* again"):
        features(weights=path)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="of another network"):
        features(weights=path)


@pytest.mark.usefixtures("fidelity")
def test_inception_is_that_of_torch_fidelity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: its own extractor, with drawn weights, of the pictures in 8 bits."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    extractor = module.FeatureExtractorInceptionV3
    path = tmp_path / "drawn.pth"
    with monkeypatch.context() as patched, torch.random.fork_rng():
        torch.manual_seed(0)
        patched.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr(extractor, "load_state_dict", lambda *_: None)
        reference = extractor("inception-v3-compat", ["2048", "logits_unbiased"])
    torch.save(reference.state_dict(), path)

    features = Inception(weights=path)
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 1, 20, 20), generator=rng).byte()
    with torch.inference_mode():
        expected, logits = reference(pixels.repeat(1, 3, 1, 1))
    pictures = pixels.float() / 255
    assert torch.equal(features(pictures), expected)
    assert torch.equal(features((pictures + 0.4 / 255).clamp(max=1)), expected)
    assert expected.shape == (2, features.size)
    torch.testing.assert_close(features.probabilities(pictures), logits.softmax(1))

    torch.save({"fc.bias": torch.zeros(1008)}, path)
    with pytest.raises(DataError, match="of another network"):
        Inception(weights=path)


@pytest.mark.usefixtures("fidelity")
def test_dinov2_is_built_from_code_and_weights_that_are_there(hub: Path) -> None:
    """By hand: white is (1 - 0.485) / 0.229 in red; here the weight doubles it."""
    (hub / "checkpoints").mkdir(parents=True)
    weights = hub / "checkpoints" / "dinov2_vits14_pretrain.pth"
    torch.save({"weight": torch.tensor(2.0)}, weights)
    with pytest.raises(DataError, match=r"has no hubconf.py; put a copy of https://"):
        DinoV2(model="vits14")

    code = hub / "facebookresearch_dinov2_main"
    code.mkdir()
    (code / "hubconf.py").write_text(CODE)
    features = DinoV2(model="vits14")
    assert features.size == 24
    assert features.name == "dinov2"
    found = features(torch.ones(2, 1, 30, 30))
    assert found.shape == (2, 24)
    assert found[0, 0].item() == pytest.approx(2 * (1 - 0.485) / 0.229, rel=1e-4)
    assert found[1, 23].item() == pytest.approx(2 * (1 - 0.406) / 0.225, rel=1e-4)

    other = hub / "other.pth"
    torch.save({"weight": torch.tensor(3.0)}, other)
    assert DinoV2(model="vits14", weights=other).digest != features.digest
    torch.save({"wait": torch.tensor(3.0)}, other)
    with pytest.raises(DataError, match="of another network"):
        DinoV2(model="vits14", weights=other, code=code)
