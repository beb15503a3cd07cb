from pathlib import Path
from typing import Annotated

import typer

from fabula.cli.options import ModelArgument
from fabula.cli.terminal import say
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
        print(f"{result.out}/{name}  {size / 1e6:,.1f} MB")
    say(
        f"{result.quantization}: at {result.num_places} positions of {result.text}, KL {result.kl:.5f} nats per token,"
        f" the same likeliest token at {result.greedy_agreement:.1%},"
        f" bits per byte {result.bits_per_byte:.4f} {result.bits_per_byte_lost:+.4f}"
    )
    if result.format == "gguf":
        print(f"next: {quote_command(['ollama', 'create', 'stories', '-f', f'{result.out}/Modelfile'])}")
        print("      ollama run stories")
