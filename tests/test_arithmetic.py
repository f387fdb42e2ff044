"""How numbers are computed in a run, and that nothing of it is left behind."""

from __future__ import annotations

import pytest
import torch

from gankit.compute.arithmetic import arithmetic, products_in
from gankit.compute.device import Precision
from gankit.compute.memory import suits_channels_last
from gankit.errors import DeviceError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("precision", "products"),
    [("fp32", "highest"), ("bf16", "highest"), ("tf32", "high")],
)
def test_products_are_in_tf32_only_where_it_is_asked_for(
    precision: str, products: str
) -> None:
    """And only meanwhile, also where a run fails."""
    with arithmetic(GPU, precision, exact=False) as notes:
        assert notes == ()
        assert torch.get_float32_matmul_precision() == products
    assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(ValueError, match="mine"), products_in(precision):
        raise ValueError("mine")
    assert torch.get_float32_matmul_precision() == "highest"


def test_what_the_process_has_set_is_left_alone() -> None:
    """Somebody who has chosen it for all of a program has it in fp32 too."""
    torch.set_float32_matmul_precision("medium")
    try:
        with products_in("fp32"):
            assert torch.get_float32_matmul_precision() == "medium"
        with products_in("tf32"):
            assert torch.get_float32_matmul_precision() == "high"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_tf32_is_for_a_gpu_of_nvidia() -> None:
    """Passes are not cast, and weights lie as in fp32."""
    with pytest.raises(DeviceError, match=r"'tf32' needs a GPU.*'fp32' or 'bf16'"):
        Precision("tf32", CPU)
    with pytest.raises(DeviceError, match=r"'tf32' is NVIDIA's.*mps; set"):
        Precision("tf32", torch.device("mps"))
    with Precision("tf32", GPU).autocast():
        assert not torch.is_autocast_enabled("cuda")
    assert not Precision("tf32", GPU).scaler().is_enabled()
    assert not suits_channels_last(GPU, "tf32")
