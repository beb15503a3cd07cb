"""What a process computes on: a GPU of NVIDIA or AMD, Apple's GPU (MPS), or the processor."""

import torch


def best_device() -> torch.device:
    """The first GPU that torch can use, or the processor.

    torch calls an AMD GPU "cuda", too. On Apple's GPU everything computes in float32 by default (`Precision.choose`), and
    nothing in float64, which it lacks. It has not been tried.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """The name of a device for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU (MPS)" if device.type == "mps" else f"{torch.get_num_threads()} CPU threads"
