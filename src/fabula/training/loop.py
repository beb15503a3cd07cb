"""The training loop: plain PyTorch, one optimiser step after another.

Everything random is drawn from (seed, step), and batches follow from (seed, epoch). So a checkpoint needs only weights,
optimiser state and step number, and a resumed training ends with the same weights as an uninterrupted one.
"""

import math
import time

import torch

from fabula.errors import FabulaError
from fabula.models.memory import keep_freed_memory
from fabula.progress import OnProgress, Progress
from fabula.results import TrainingRow, ValidationRow
from fabula.training.checkpoints import Checkpoints, State
from fabula.training.clock import Clock
from fabula.training.finish import write_model
from fabula.training.interrupt import Interrupt, Interrupted
from fabula.training.job import Job
from fabula.training.log import LogWriter
from fabula.training.setup import Setup, prepare
from fabula.training.step import compute_gradients, find_divergence, update_weights
from fabula.training.validation import first_state, score, write_beginning
from fabula.training.workers import Workers


def fit(job: Job, workers: Workers, on_progress: OnProgress) -> None:
    """Train the model, from its last checkpoint if there is one, and write the model folder."""
    began = time.monotonic()
    keep_freed_memory()
    job.work.mkdir(parents=True, exist_ok=True)
    setup = prepare(job, workers, on_progress)
    log = LogWriter(job) if workers.is_first else None
    try:
        with Interrupt(workers.size) as interrupt:
            clock = Clock(workers, began, job.limit, setup.sizes)
            loop = Loop(setup, clock, log, interrupt, on_progress)
            loop.run()
    except Interrupted:
        raise KeyboardInterrupt from None
    finally:
        if log is not None:
            log.close()
    if workers.is_first:
        write_model(setup, loop.state)


class Loop:
    """The steps, validations and checkpoints of one training in one process.

    Attributes:
        state: the state of the training: what a checkpoint holds apart from tensors.
        log: None in all workers but the first.
    """

    def __init__(
        self,
        setup: Setup,
        clock: Clock,
        log: LogWriter | None,
        interrupt: Interrupt,
        on_progress: OnProgress,
    ) -> None:
        self.setup, self.clock, self.log = setup, clock, log
        self.interrupt, self.on_progress = interrupt, on_progress
        self.recipe, self.sizes, self.workers = setup.recipe, setup.sizes, setup.workers
        self.checkpoints = Checkpoints(setup.job.work, setup.writers)
        self.state = State()
        self._is_finishing = False

    def run(self) -> None:
        """Train until all steps are done, the time is up, or validation stops it early.

        Raises:
            Interrupted: a signal asked for it; a checkpoint was written first.
            FabulaError: the loss diverges, or is not a number.
        """
        self._resume_or_begin()
        self._say(self.setup.describe())
        self.setup.model.train()
        try:
            while not self._validated_and_done():
                self._step()
                if self.clock.is_save_due():
                    self._save()
                self._leave_if_asked()
        except Interrupted:
            self._save()
            raise
        if self.setup.is_sharded and self.recipe.keep == "last":
            self._save()  # the model is made from these files, since no process has all weights
        if self.recipe.keep == "best" and self.state.best_step == 0:
            self._say("no validation was better than the base model; the base model is kept as it was")

    # Steps

    def _validated_and_done(self) -> bool:
        """Validate if that is due. Returns whether the training has ended."""
        self.clock.read()
        if self._progress() >= 1 and self.state.step:
            self._is_finishing = True  # even if the time that is reserved turns out too long
        due = math.floor(self._progress() * self.state.num_planned_validations) + 1
        if self.state.num_validations < due:
            self._validate(due)
            if not self._is_last() and self.clock.is_save_due(validated=True):
                self._save()
            self._plan_validations()
            self.clock.read()
        if self._progress() >= 1 and self.state.step:
            return True
        if self.recipe.patience and self.state.num_worse >= self.recipe.patience:
            self._say(f"stopped early: {self.state.num_worse} validations without a new best")
            return True
        return False

    def _progress(self) -> float:
        """Share of the training that is done: of the steps, or of the time if that runs out first; 1 if the user asked
        for its end."""
        if self._is_finishing:
            return 1.0
        return min(1.0, max(self.state.step / self.sizes.num_steps, self.clock.share_used()))

    def _step(self) -> None:
        state = self.state
        if self.clock.first_step is None:
            self.clock.first_step = self.clock.read()
        gradients = compute_gradients(
            self.setup, state.step, state.micro_batch_size, lambda: self.interrupt.asked
        )
        if problem := find_divergence(self.setup, gradients, state.base_val_loss):
            raise self._failed(f"{problem} at step {state.step + 1}")
        factor = self.recipe.learning_rate_factor(self._progress(), state.step, state.num_expected_steps)
        learning_rate = self.sizes.learning_rate * factor
        update_weights(self.setup, learning_rate)
        self.state = state.changed(
            step=state.step + 1,
            num_tokens=state.num_tokens + gradients.num_targets,
            loss_sum=state.loss_sum + gradients.loss_sum,
            loss_tokens=state.loss_tokens + gradients.num_targets,
        )
        self._log_step(learning_rate)

    def _failed(self, what: str) -> FabulaError:
        return FabulaError(
            f"{what}; the last good checkpoint is {self.checkpoints.newest()}",
            hint=f"try a learning_rate below {self.sizes.learning_rate:.2g} in the recipe",
        )

    def _log_step(self, learning_rate: float) -> None:
        state, seconds = self.state, self.clock.read()
        loss = state.loss_sum / state.loss_tokens
        speed = self.clock.tokens_per_second(state.num_tokens)
        self._report(train_loss=loss, tokens_per_second=speed)
        if not self.clock.is_log_due(state.step, self.sizes.num_steps):
            return
        if self.log is not None:
            self.log.append(
                TrainingRow(
                    step=state.step,
                    epoch=round(state.step / self.sizes.steps_per_epoch, 4),
                    seconds=round(seconds, 3),
                    train_loss=loss,
                    learning_rate=learning_rate,
                    tokens_per_second=round(speed, 1),
                )
            )
        self.clock.logged(state.num_tokens)
        self.state = state.changed(loss_sum=0.0, loss_tokens=0)

    def _leave_if_asked(self) -> None:
        """Stop, or end the training, if any worker was asked to. Called between steps, where all workers are in
        step."""
        leave, finish = self.workers.sum([self.interrupt.asked, self.setup.job.finish_request.exists()])
        if leave:
            raise Interrupted
        if finish:
            self._say("ended early, as you asked; the best weights so far are kept")
            self._is_finishing = True

    # Validation

    def _is_last(self) -> bool:
        """Whether no step follows, so that the model is written from the weights in memory, which need no checkpoint. Not by
        the clock: after a validation, less time may be reserved, and steps follow that seemed to have no time."""
        return self._is_finishing and not self.setup.is_sharded

    @torch.compiler.set_stance("force_eager")  # or else the layers are compiled for many shapes
    def _validate(self, due: int) -> None:
        """Score the validation stories, and keep the weights if they are the best so far."""
        began, state = time.monotonic(), self.state
        stories = self.setup.validation.first(state.num_validation_stories)
        val_loss, bits_per_byte = score(self.setup, stories, lambda: self.interrupt.asked)
        if not math.isfinite(val_loss):
            raise self._failed(f"the loss on held-out stories is not a number at step {state.step}")
        seconds = self.clock.read()
        if self.log is not None:
            row = ValidationRow(
                step=state.step, seconds=round(seconds, 3), val_loss=val_loss, bits_per_byte=bits_per_byte
            )
            self.log.append(row)
        self.state = state.validated(val_loss, bits_per_byte, num_validations=due)
        is_best = self.state.best_step == state.step > 0
        if is_best and not self._is_last() and self.setup.is_writer:
            self.checkpoints.save_best(state.step, self.setup.model)
        self._report(val_loss=val_loss, bits_per_byte=bits_per_byte)
        if self.recipe.sample_tokens and state.step and self.setup.is_writer:
            self._say(f"step {state.step:,} writes: {write_beginning(self.setup)}")
        self.clock.validated(time.monotonic() - began)

    def _plan_validations(self) -> None:
        """If the time is limited, plan only as many validations, each with saving the best weights, as fit into their
        share."""
        took = self.clock.reserve()
        if self.state.num_validations == 1 and self.clock.limit is not None:
            affordable = int(self.recipe.validation_share * self.clock.limit / took)
            planned = max(1, min(self.state.num_planned_validations, affordable))
            self.state = self.state.changed(num_planned_validations=planned)

    # Checkpoints

    def _resume_or_begin(self) -> None:
        """Restore the last checkpoint, or make the choices of a new training."""
        found = self.checkpoints.restore(self.setup.model, self.setup.optimizers)
        if found is None:
            if self.log is not None:
                self.log.clear()
            self.state = first_state(self.setup)
        else:
            self.state, damaged = found
            for name in damaged:
                self._say(f"checkpoint {name} is damaged; using the one before it")
            self.setup.precision.set_scale(self.state.loss_scale)
            self.clock.resume(self.state.seconds, self.state.first_step, self.state.num_tokens)
            if self.log is not None:
                self.log.cut(self.state.step, self.state.num_validations)
            self._say(f"resuming from step {self.state.step:,}")
        self.clock.read()

    def _save(self) -> None:
        began, seconds = time.monotonic(), self.clock.read()
        self.state = self.state.changed(
            seconds=seconds, first_step=self.clock.first_step, loss_scale=self.setup.precision.scale()
        )
        if self.setup.is_writer:
            self.checkpoints.save(self.state, self.setup.model, self.setup.optimizers)
        self.clock.saved(time.monotonic() - began)

    # What the user sees

    def _report(self, **values: float) -> None:
        """Report the progress: in steps, or in seconds if the time runs out first."""
        progress, step = self._progress(), self.state.step
        done, total, unit = float(step), float(self.sizes.num_steps), "steps"
        if self.clock.limit is not None and self.clock.share_used() > step / self.sizes.num_steps:
            done, total, unit = self.clock.seconds, self.clock.limit, "seconds"
            values = {"step": step, **values}
        left = self.clock.seconds_left(progress)
        self.on_progress(Progress("train", done, total, unit, values, seconds_left=left))

    def _say(self, message: str) -> None:
        self.on_progress(Progress("train", message=message))
