"""Whether an error means that memory has run out, on the CPU or on a card: PyTorch has no one type for it."""

from __future__ import annotations

from typing import Final

_SAID: Final = (
    "can't allocate memory",  # PyTorch's CPU allocator
    "not enough memory",  # the same, on Windows and in older versions
    "out of memory",  # CUDA, HIP, MPS, XPU
    "cannot allocate memory",  # the system's own words
    "alloc_failed",  # cuBLAS and cuDNN
)


def is_memory_fault(error: BaseException) -> bool:
    """True for MemoryError, torch.OutOfMemoryError and the RuntimeErrors that stand for them."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(words in said for words in _SAID)
