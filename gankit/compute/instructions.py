"""What this processor has instructions for."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_LISTS = ("flags", "Features")  # what x86 and ARM call the line that lists them
# those that oneDNN multiplies bf16 by, as the kernel calls them
_BF16 = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16", "svebf16"}


def lacks_bf16() -> str:
    """Say that this processor has no instructions for bf16; or "", also if unknown.

    torch computes in bf16 all the same: on processors without AVX-512 by converting
    each number, at a small part of the rate of fp32.
    """
    try:
        lines = _CPUINFO.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        name, _, listed = line.partition(":")
        if name.strip() in _LISTS:
            there = set(listed.split())
            return "" if there & _BF16 else "this CPU has no instructions for bf16"
    return ""
