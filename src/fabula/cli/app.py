"""The `fabula` command: parses, prints and exits. Nothing heavy is imported here."""

import errno
import os
import re
import reprlib
import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn, TextIO

import typer
from pydantic import ValidationError

from fabula.cli.terminal import ProgressMode, Terminal
from fabula.config import describe_problem
from fabula.defaults import RECIPE
from fabula.errors import FabulaError, did_you_mean
from fabula.files import PARTIAL
from fabula.install import as_typed
from fabula.stopping import STOP_SIGNALS

app = typer.Typer(
    name="fabula",
    help="Turn a file of stories into a language model that writes such stories.\n\n"
    "`fabula studio` does all of it in the browser; in the terminal, begin with `fabula run STORIES`. --progress, --quiet and"
    " --debug may stand before or after the command.",
    rich_markup_mode=None,  # rich's table leaves 18 of 80 columns for the help, and cuts the names of options
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CommandLineError: type[Exception] = typer.BadParameter.__mro__[-4]
"""The exception that typer raises for a command line that it cannot parse: click's in older releases, now its own."""

SHARED_FLAGS = ("--debug", "--quiet", "-q")
INTERRUPTED = 130
DISK_FULL = "the disk is full; make room and run the same command again"
WHAT_TO_DO = {
    errno.EROFS: "nothing can be written here (read-only file system); work in another folder",
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EFBIG: "File too large; raise the limit on files (ulimit -f) and run the same command again",
}
OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory", re.IGNORECASE)
FROM_THE_SYSTEM = (*WHAT_TO_DO, errno.EACCES, errno.EIO)


def version_wanted(wanted: bool) -> None:
    if wanted:
        import fabula

        print(f"fabula {fabula.__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    progress: Annotated[
        ProgressMode,
        typer.Option(
            help="How to show progress: bars, plain lines, JSON lines on standard error, or not at all."
        ),
    ] = ProgressMode.auto,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The same as --progress none.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=version_wanted, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = Terminal(ProgressMode.none if quiet else progress)


def globals_first(arguments: list[str]) -> list[str]:
    """Move the options that every command shares in front of the command, where the parser expects them."""
    front, rest = [], []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in SHARED_FLAGS or word.startswith("--progress="):
            front.append(word)
        elif word == "--progress":
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            rest.append(word)
    return front + rest


def fail(message: str, code: int = 2) -> NoReturn:
    print(f"fabula: error: {as_typed(message)}", file=sys.stderr)
    raise SystemExit(code)


def stop_like_ctrl_c(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def prepare_stream(stream: TextIO) -> None:
    """Print a question mark for a character that the console cannot show, instead of failing. Output to a file or a pipe on
    Windows is UTF-8, as elsewhere, and loses nothing."""
    encoding = "utf-8" if sys.platform == "win32" and not stream.isatty() else None
    stream.reconfigure(encoding=encoding, errors="replace")  # pyright: ignore[reportAttributeAccessIssue]


def main() -> None:
    """Run the command line. Exit codes: 0 success, 2 an error that the user can correct, 130 interrupted, 1 an internal
    error."""
    arguments = globals_first(sys.argv[1:])
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    debug = "--debug" in arguments
    for number in STOP_SIGNALS:
        signal.signal(number, stop_like_ctrl_c)
    # Torch's threads wait for each other in a busy loop. If other programs use the processor too, that makes
    # training up to nine times slower (docs/training.md); so they wait only briefly, then sleep. Read when torch loads.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # What Apple's GPU cannot compute, the processor does.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    for stream in (sys.stdout, sys.stderr):
        prepare_stream(stream)
    try:
        code = app(args=arguments or ["--help"], prog_name="fabula", standalone_mode=False)
    except FabulaError as error:
        if debug:
            raise
        if error.details:
            print(error.details, file=sys.stderr)
        fail(str(error))
    except CommandLineError as error:
        fail(usage_problem(error))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except MemoryError:
        if debug:
            raise
        fail(memory_problem("", arguments))
    except BrokenPipeError:
        raise SystemExit(0) from None
    except OSError as error:
        if debug:
            raise
        what = WHAT_TO_DO.get(error.errno or 0) or error.strerror or str(error)
        fail(f"{str(error.filename).removesuffix(PARTIAL)}: {what}" if error.filename else what)
    except Exception as error:
        if debug:
            raise
        if OUT_OF_MEMORY.search(str(error)):
            fail(memory_problem(str(error), arguments))
        for number in FROM_THE_SYSTEM:  # libraries in Rust wrap the system's error in one of their own
            if os.strerror(number) in str(error):
                fail(WHAT_TO_DO.get(number, os.strerror(number)))
        fail(f"internal error: {type(error).__name__}: {error}; --debug shows where", code=1)
    if code == INTERRUPTED:
        print("\nfabula: stopped; run the same command again to continue", file=sys.stderr)
    raise SystemExit(code or 0)


def memory_problem(message: str, arguments: list[str]) -> str:
    """A one-line error for a lack of memory that a library reports with this message."""
    where = "the GPU" if re.search("CUDA|HIP|MPS", message) else "this machine"
    ways = "a smaller model"
    if {"run", "train"} & set(arguments):
        ways = "a shorter context_length or a smaller base model"
        typed = " ".join(arguments)
        if "gradient_checkpointing" not in typed:
            recipe = re.search(r"--recipe[= ](\S+)", typed)
            ways = f"--recipe {recipe[1] if recipe else RECIPE},gradient_checkpointing=true, {ways}"
    return f"{where} is out of memory; try {ways}"


def usage_problem(error: Any) -> str:
    """A one-line error for a command line that cannot be parsed, with the nearest option if one was mistyped."""
    message = error.format_message().rstrip(".")
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is None:
        return f"{message[0].lower()}{message[1:]}"
    mistyped = getattr(error, "option_name", None)
    if mistyped and message.startswith("No such option"):
        known = [
            name for parameter in context.command.params for name in parameter.opts if name.startswith("--")
        ]
        return (
            f"no such option: {mistyped}; {suggest_option(mistyped, [*known, *SHARED_FLAGS, '--progress'])}"
        )
    if found := re.match(r"No such command '(.+?)'", message):
        names = [each.callback.__name__ for each in app.registered_commands if each.callback]
        return f"no such command: {found[1]}; {did_you_mean(found[1], names)}"
    if isinstance(error.__cause__, ValidationError) and isinstance(error, typer.BadParameter) and error.param:
        first = error.__cause__.errors()[0]
        message = f"{'/'.join(error.param.opts)} = {reprlib.repr(first['input'])} {describe_problem(first)}"
    elif isinstance(error, typer.BadParameter) and error.param:
        message = click_problem(error.message, error.param) or message
    return f"{message[0].lower()}{message[1:]}; `{context.command_path} --help` shows how"


def click_problem(message: str, parameter: Any) -> str | None:
    """What the value of an option must be, where typer parses with click (before 0.27)."""
    found = re.match(r"'?(.*?)'? is not (?:a valid (integer|float)|in the range)", message)
    if found is None:
        return None
    value, number = found.groups()
    if number is not None:
        problem = "must be a whole number" if number == "integer" else "must be a number"
    elif parameter.type.max is not None and float(value) > parameter.type.max:
        problem = f"must be at most {parameter.type.max}"
    else:
        problem = f"must be at least {parameter.type.min}"
    return f"{'/'.join(parameter.opts)} = {value!r} {problem}"


SAME_MEANING = {
    "--output": "--out",
    "--model": "--base",
    "--minutes": "--max-minutes",
    "--time": "--max-minutes",
    "--length": "--max-new-tokens",
    "--max-length": "--max-new-tokens",
    "--max-tokens": "--max-new-tokens",
    "--num-samples": "--num-stories",
    "--num-return-sequences": "--num-stories",
    "--format": "--to",
    "--device": "--engine",
}
"""Options of other programs, and the equivalent names in fabula."""

SAME_FIELD = {
    "--epochs": "num_epochs",
    "--num-train-epochs": "num_epochs",
    "--lr": "learning_rate",
    "--batch": "batch_tokens",
    "--batch-size": "batch_tokens",
    "--context": "context_length",
    "--block-size": "context_length",
    "--max-seq-length": "context_length",
    "--warmup": "warmup_steps",
    "--lora": "lora_rank",
    "--lora-r": "lora_rank",
    "--fp16": "precision",
    "--bf16": "precision",
}
"""Options of other trainers, and the recipe's field for them."""


def suggest_option(mistyped: str, known: list[str]) -> str:
    """A hint for an option that does not exist: by its meaning, else by its spelling."""
    if SAME_MEANING.get(mistyped) in known:
        return f"did you mean {SAME_MEANING[mistyped]}?"
    if "--recipe" in known:
        from fabula.training.recipe import Recipe

        field = SAME_FIELD.get(mistyped, mistyped.removeprefix("--").replace("-", "_"))
        if field in Recipe.model_fields:
            return f"it is a field of the recipe: add --recipe default,{field}=..."
    return did_you_mean(mistyped, known)


def register() -> None:
    """Register each command under its name. Each command has a module, which imports what it needs when it is called."""
    from fabula.cli.bases import bases
    from fabula.cli.clean import clean, restore
    from fabula.cli.compare import compare
    from fabula.cli.doctor import doctor
    from fabula.cli.evaluate import evaluate
    from fabula.cli.export import export
    from fabula.cli.publish import publish
    from fabula.cli.run import run
    from fabula.cli.serve import serve
    from fabula.cli.studio import studio
    from fabula.cli.train import train
    from fabula.cli.tune import tune
    from fabula.cli.write import write

    for command in (
        run,
        clean,
        restore,
        train,
        evaluate,
        tune,
        compare,
        write,
        export,
        serve,
        studio,
        publish,
        doctor,
        bases,
    ):
        app.command()(command)


register()
