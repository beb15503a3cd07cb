"""The events that a run leaves in its folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabula.errors import FabulaError
from fabula.pipeline.events import DONE, EVENTS, STOPPED, EventLog, last_event, read_events
from fabula.progress import Progress


def test_what_is_reported_is_kept_and_passed_on(tmp_path: Path):
    heard: list[Progress] = []
    with EventLog(tmp_path, heard.append) as log:
        for step in range(50):
            log(Progress("train", step, 100, "steps", {"train_loss": 2.0}))
        log(Progress("train", 50, 100, "steps", {"val_loss": 1.5}))
        log(Progress("train", message="step 50 writes: Once"))
        event = last_event(tmp_path)
        assert event is not None
        assert event.process is not None
        assert event.process.pid == os.getpid()
    assert len(heard) == 52
    events, end = read_events(tmp_path)
    assert end == (tmp_path / EVENTS).stat().st_size
    steps = [event.done for event in events if event.stage == "train" and not event.message]
    assert steps == [0, 50]  # the others came within a second
    assert events[-2].message == "step 50 writes: Once"
    assert events[-1].outcome == DONE
    assert events[-1].process is None
    assert read_events(tmp_path, end) == ([], end)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(KeyboardInterrupt(), STOPPED), (FabulaError("no story", where="a.txt"), "a.txt: no story")],
)
def test_how_it_ended(tmp_path: Path, error: BaseException, outcome: str):
    with pytest.raises(type(error)), EventLog(tmp_path):
        raise error
    event = last_event(tmp_path)
    assert event is not None
    assert event.outcome == outcome


def test_a_process_that_was_killed_no_longer_works(tmp_path: Path):
    script = (
        "import os, signal, sys; from pathlib import Path; from fabula.pipeline.events import EventLog\n"
        "with EventLog(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    event = last_event(tmp_path)
    assert event is not None
    assert event.outcome is None
    assert event.process is None


def test_a_row_that_is_half_written_is_left_out(tmp_path: Path):
    with EventLog(tmp_path):
        pass
    with (tmp_path / EVENTS).open("a") as file:
        file.write('{"time": 1, "pid"\n' + json.dumps(["no event"]) + '\n{"time": 2')
    events, _ = read_events(tmp_path)
    assert [event.outcome for event in events] == [None, DONE]
    assert read_events(tmp_path / "nowhere") == ([], 0)
