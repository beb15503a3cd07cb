"""What a process computes on: a GPU of NVIDIA or AMD, Apple's GPU (MPS), or the processor."""

import psutil
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


def free_memory_gb() -> float:
    """The free memory, in GB, of what a process computes on: of an NVIDIA or AMD GPU, with what this process has reserved of
    it, or of the machine."""
    if best_device().type == "cuda":
        return (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()) / 1e9
    return psutil.virtual_memory().available / 1e9


def device_name(device: torch.device) -> str:
    """The name of a device for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU (MPS)" if device.type == "mps" else f"{torch.get_num_threads()} CPU threads"
