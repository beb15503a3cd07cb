"""Tasks of the studio in separate processes: reading untrusted files, and measuring a training.

`python -m fabula.studio_server.work read FOLDER READING` and `... predict STORIES BASE OUT` print one JSON object.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fabula.corpus.options import ReadingOptions
from fabula.errors import FabulaError
from fabula.formatting import format_duration
from fabula.pipeline.run import INPUTS


class Stopped(Exception):
    """The process was stopped before it came to its end."""


class Worker:
    """Does one task at a time; a new task stops the current one."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, *words: str | Path) -> dict[str, Any]:
        """The answer of a process to a command of this module.

        Raises:
            FabulaError: what the process found wrong.
            Stopped: it was stopped, by a later call or from outside.
        """
        self.stop()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fabula.studio_server.work",
            *map(str, words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._process = process
        output, _ = await process.communicate()
        if process.returncode:
            raise Stopped
        answer = json.loads(output.splitlines()[-1])
        if "error" in answer:
            raise FabulaError(answer["error"])
        return answer

    def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


def work(words: list[str]) -> dict[str, Any]:
    """The answer to a command."""
    folder = Path(words[1])
    try:
        if words[0] == "read":
            from fabula.studio_server.reading import read_stories

            limit_memory()
            return read_stories(folder, ReadingOptions.parse(json.loads(words[2])))
        from fabula.training.predict import predict_training

        found = predict_training(words[1], base=words[2], out=words[3])
        return {**asdict(found), "time": format_duration(found.seconds)}
    except FabulaError as error:
        is_for_page = error.hint is not None and "--" not in error.hint  # the page has no options to type
        shown = FabulaError(
            error.what, where=error.where, line=error.line, hint=error.hint if is_for_page else None
        )
        return {"error": str(shown).replace(f"{(folder / INPUTS).resolve()}{os.sep}", "")}
    except MemoryError:
        return {
            "error": "these files need more memory than is free on this machine: use fewer or smaller ones"
        }
    except Exception as error:  # whatever fails in a reader or a model, the page shows one sentence
        return {"error": f"that failed ({type(error).__name__})"}


def limit_memory() -> None:
    """Let this process take most of the memory that is free, so that a small archive that unpacks to a huge file ends with an
    error and not with the machine. Not on Windows."""
    if sys.platform != "win32":
        import resource

        import psutil

        most = int(0.8 * psutil.virtual_memory().available)
        _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
        if allowed == resource.RLIM_INFINITY or most < allowed:  # a limit can only be lowered
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    print(json.dumps(work(sys.argv[1:])))
