from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import ModelArgument
from fabula.cli.terminal import say
from fabula.formatting import format_percent
from fabula.install import quote_command


def export(
    context: typer.Context,
    model: ModelArgument,
    to: Annotated[
        str,
        typer.Option(
            help="gguf (llama.cpp, Ollama, LM Studio), ctranslate2, or onnx (browsers, ONNX Runtime).",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write.", show_default="MODEL-<format>")] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            help="gguf: q8_0, f32, f16, q5_1, q4_1, q4_k_m. ctranslate2: float32, float16, int8, int8_float32. onnx: none, int8.",
            show_default="8 bits",
        ),
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option(
            help="A corpus, or a file of stories the model was not trained on, to compare predictions on.",
            show_default="the bundled stories",
        ),
    ] = None,
    max_loss: Annotated[
        float,
        typer.Option(min=0, help="Fail if the loss is more than this share of the bits per byte."),
    ] = 0.01,
) -> None:
    """Convert a model for other programs, and check the result."""
    from fabula.exporting.export import export as export_model

    with context.obj as terminal:
        result = export_model(
            model, to, out=out, quantize=quantize, text=on, max_loss=max_loss, on_progress=terminal
        )
    for name, size in result.files.items():
        print(f"{result.out}/{name}  " + (f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"))
    say(
        f"Compared with the original at {result.num_places:,} positions of {result.text}, {result.quantization} finds the same"
        f" token likeliest at {format_percent(result.greedy_agreement)}, and needs {result.bits_per_byte:.4f} bits per byte"
        f" ({result.bits_per_byte_lost:+.4f}); KL divergence {result.kl:.5f} nats per token."
    )
    if result.format == "gguf":
        print(f"next: {quote_command(['ollama', 'create', 'stories', '-f', f'{result.out}/Modelfile'])}")
        print("      ollama run stories")
