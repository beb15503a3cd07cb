"""The training loop: plain PyTorch, one optimiser step after another.

Whatever is drawn at random is drawn from (seed, step), and batches follow from (seed, epoch); so a checkpoint with
weights, optimiser and step number is all that is needed to go on as if nothing had happened.
"""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fabula.baseline.windows import TruncatedWindows
from fabula.errors import FabulaError
from fabula.files import atomic_folder, library_versions
from fabula.models.load import context_length_of, fuse_activations, load_model, quiet
from fabula.models.memory import keep_freed_memory
from fabula.models.records import LOG, RECIPE_FILE
from fabula.progress import OnProgress, Progress
from fabula.tokens.tokenizer import end_of_text_id, load_tokenizer, start_id
from fabula.tokens.windows import Windows
from fabula.training.checkpoints import Checkpoints, State
from fabula.training.interrupt import Interrupt, Interrupted
from fabula.training.loss import StoryLoss, as_tensors
from fabula.training.machine import Precision, choose_micro_batch_size
from fabula.training.prepare import (
    choose_trained,
    held_out_stories,
    make_fresh_base,
    optimizer_tensors,
    optimizers_for,
    set_dropout,
    set_optimizer_tensors,
    set_weights,
    trained_weights,
    training_tokens,
)
from fabula.training.track import Tracker
from fabula.training.train import FRESH_BASE, Job
from fabula.training.validation import validate
from fabula.training.workers import Workers

NUM_LOG_ROWS = 500
"""About this many rows of training loss are logged."""

CHECKPOINT_SECONDS = 60.0
"""Shortest time between two checkpoints that no validation asks for."""

CHECKPOINT_SHARE = 0.02
"""Such checkpoints take at most this share of the time."""

LONGEST_CONTEXT = 512
"""Positions in a window for a base model whose recipe does not say."""

REHEARSED_STEPS = (3, 50)
REHEARSED_SECONDS = 5.0
"""A rehearsal takes the fewest steps that last so long, within these bounds."""

DIVERGED_NATS = 2.0
"""A loss so far above that of a uniform guess over the vocabulary is no training any more."""


def fit(job: Job, workers: Workers, on_progress: OnProgress) -> None:
    """Do the training, from its last checkpoint if it has one, and write the model folder."""
    began = time.monotonic()
    keep_freed_memory()
    job.work.mkdir(parents=True, exist_ok=True)
    base = job.base
    if base is None:
        base = job.work / FRESH_BASE
        if workers.is_first:
            make_fresh_base(base, job.corpus, job.init, job.seed, on_progress)
        workers.barrier()
    Trainer(job, base, workers, on_progress, began).run()


@dataclass(frozen=True)
class Rehearsal:
    """What the parts of a training take, in seconds.

    Attributes:
        start: until the first step, and what the first step takes longer than others.
        step: one optimiser step.
        validation: one validation, its sample and the saving of new best weights included.
        checkpoint: writing one.
        tokens_per_second: targets of the steps.
    """

    start: float
    step: float
    validation: float
    checkpoint: float
    tokens_per_second: float


class Trainer:
    """One training in one process."""

    def __init__(self, job: Job, base: Path, workers: Workers, on_progress: OnProgress, began: float) -> None:
        self.job, self.base, self.workers, self.on_progress = job, base, workers, on_progress
        recipe = self.recipe = job.recipe
        self.tokenizer = load_tokenizer(base)
        model = load_model(base, device=workers.device)
        fresh = job.base is None
        own = context_length_of(model.config)
        self.context_length = min(own, recipe.context_length or (own if fresh else LONGEST_CONTEXT))
        self.num_parameters = model.num_parameters()
        set_dropout(model, recipe.dropout)
        fuse_activations(model)
        if recipe.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        torch.manual_seed(job.seed)  # low-rank additions begin with random numbers
        self.model = choose_trained(model, recipe)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.num_trained = sum(p.numel() for p in self.trained)
        self.precision = Precision.choose(recipe.precision, workers.device)
        self.precision.choose_attention(model, self.context_length)
        self.loss = StoryLoss(self.model)
        self.step_loss: Callable[..., torch.Tensor] = (
            torch.compile(self.loss) if recipe.compile else self.loss
        )

        stories = training_tokens(job.corpus, self.tokenizer, recipe.markup, on_progress)
        pad_id = self.pad_id = end_of_text_id(self.tokenizer)
        if recipe.windows == "truncated":
            self.windows: Windows | TruncatedWindows = TruncatedWindows(stories, self.context_length, pad_id)
        else:
            left_context = min(recipe.left_context, self.context_length // 2)
            packed = recipe.windows == "packed" and self.loss.packs
            self.windows = Windows(stories, self.context_length, left_context=left_context, packed=packed)
        if len(self.windows) == 0:
            raise FabulaError("there is no story to train on", where=job.corpus.path)
        self.held_out = held_out_stories(job.corpus, self.tokenizer, recipe.markup, job.seed)
        if len(self.held_out) == 0:
            raise FabulaError("no story is held out for validation", where=job.corpus.path)

        self.batch_size = recipe.batch_size(self.context_length, self.num_parameters)
        self.steps_per_epoch = math.ceil(len(self.windows) / self.batch_size)
        self.num_steps = max(1, math.ceil(recipe.epochs(self.num_parameters, fresh) * self.steps_per_epoch))
        self.peak = recipe.peak_learning_rate(self.num_trained, fresh)
        self.optimizers = optimizers_for(self.model, recipe, self.peak)
        self.checkpoints = Checkpoints(job.work)
        self.began, self.seconds_before = began, 0.0
        self.tracker: Tracker | None = None
        self.state = self._resume()
        self._clock = self._elapsed()
        self._order_epoch, self._order = -1, np.empty(0, dtype=np.int64)
        self._reserve = self._logged_at = 0.0
        self._saved_at, self._save_seconds = time.monotonic(), 0.0
        self._rated_at, self._rated_tokens = time.monotonic(), self.state.num_tokens

    # Time and progress

    def _elapsed(self) -> float:
        """Seconds that this training has taken, earlier processes included; the first worker's clock counts."""
        own = self.seconds_before + time.monotonic() - self.began
        return self.workers.from_first([own])[0] if self.workers.size > 1 else own

    def _time_share(self) -> float:
        """Share used of the time that is left for training after the start, what the end will take set aside; 0 where
        there is no limit."""
        if self.job.max_minutes is None or not self.state.num_validations:
            return 0.0
        allowed = self.job.max_minutes * 60 - self._reserve - self.state.started
        return max(0.0, self._clock - self.state.started) / max(1.0, allowed)

    def _progress(self) -> float:
        """Share of the training that is done: of the steps, or of the time where that runs out first."""
        return min(1.0, max(self.state.step / self.num_steps, self._time_share()))

    def _report(self, **values: float) -> None:
        """Say how far it is: in steps, or in seconds where those run out first."""
        progress, step = self._progress(), self.state.step
        done, total, unit = step, self.num_steps, "steps"
        if self.job.max_minutes is not None and self._time_share() > step / self.num_steps:
            done, total, unit = self._clock, self.job.max_minutes * 60, "seconds"
            values = {"step": step, **values}
        left = self._clock / progress * (1 - progress) if progress > 0.02 else None
        self.on_progress(Progress("train", done, total, unit, values, seconds_left=left))

    def _say(self, message: str) -> None:
        self.on_progress(Progress("train", message=message))

    # The run

    def run(self) -> None:
        self._say(self._describe())
        job = self.job
        if job.track is not None and self.workers.is_first:
            folder = job.out.with_name(job.out.name + ".tensorboard")
            self.tracker = Tracker(job.track, folder, job.out.name, job.manifest.config)
        try:
            with Interrupt() as self.interrupt:
                self._train()
        except Interrupted:
            self._save()
            raise KeyboardInterrupt from None
        finally:
            if self.tracker is not None:
                self.tracker.close()
        if self.workers.is_first:
            self._finish()

    def rehearse(self, num_held_out_tokens: float) -> Rehearsal:
        """Take a few steps, a validation on about so many tokens, and a checkpoint, and say how long they took. The
        trainer is of no other use then."""
        times: list[float] = []

        def timed(work: Callable[[], None]) -> float:
            began = time.monotonic()
            work()
            return time.monotonic() - began

        try:
            with Interrupt() as self.interrupt:
                self.model.train()
                self._step(0.0)
                start, first_tokens = time.monotonic() - self.began, self.state.num_tokens
                fewest, most = REHEARSED_STEPS
                while len(times) < fewest or (sum(times) < REHEARSED_SECONDS and len(times) < most):
                    times.append(timed(lambda: self._step(0.0)))
                step = sum(times) / len(times)
                tokens = self.state.num_tokens - first_tokens
                num_stories = self.held_out.fitting(num_held_out_tokens)
                self.state = self.state.changed(num_validation_stories=num_stories)
                scored = self.held_out.first(num_stories).num_tokens
                validation = timed(lambda: self._validate(1)) * max(1.0, num_held_out_tokens / scored)
                return Rehearsal(start - step, step, validation, timed(self._save), tokens / sum(times))
        except Interrupted:
            raise KeyboardInterrupt from None

    def _describe(self) -> str:
        trained = (
            "" if self.num_trained == self.num_parameters else f" ({self.num_trained / 1e6:.1f} M trained)"
        )
        return (
            f"{self.num_parameters / 1e6:.1f} M parameters{trained}, {self.windows.num_targets:,} story tokens in"
            f" {len(self.windows):,} windows of {self.context_length} ({self.windows.padding:.1%} padding),"
            f" {'at most ' if self.job.max_minutes else ''}{self.num_steps:,} steps of {self.batch_size} windows, learning rate {self.peak:.2g}"
        )

    def _train(self) -> None:
        recipe = self.recipe
        self.model.train()
        while True:
            self._clock = self._elapsed()
            progress = self._progress()
            due = math.floor(progress * recipe.num_validations) + 1
            if self.state.num_validations < due:
                self._validate(due)
                self._save()
                self._clock = self._elapsed()
            if self._progress() >= 1:
                return
            if recipe.patience and self.state.num_worse >= recipe.patience:
                self._say(f"stopped early: {self.state.num_worse} validations without a new best")
                return
            self._step(self._progress())
            self._log_step()
            pause = max(CHECKPOINT_SECONDS, self._save_seconds / CHECKPOINT_SHARE)
            wanted = time.monotonic() - self._saved_at > pause
            if self.workers.from_first([wanted])[0]:
                self._save()
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        """Between steps, where all workers stand at the same point: leave if any of them was asked to."""
        if self.workers.sum([self.interrupt.asked])[0]:
            raise Interrupted

    def _batch(self, step: int) -> list[int]:
        """Windows of this step, in a new order each epoch."""
        epoch, at = divmod(step, self.steps_per_epoch)
        if epoch != self._order_epoch:
            self._order_epoch = epoch
            self._order = np.random.default_rng([self.job.seed, epoch]).permutation(len(self.windows))
        return self._order[at * self.batch_size : (at + 1) * self.batch_size].tolist()

    def _step(self, progress: float) -> None:
        step, workers = self.state.step, self.workers
        torch.manual_seed(
            int(np.random.SeedSequence([self.job.seed, step, workers.rank]).generate_state(1)[0])
        )
        batch = self._batch(step)
        targets = self.windows.targets(batch)
        mine = batch[workers.rank :: workers.size]
        size = self.state.micro_batch_size
        total = 0.0
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        for begin in range(0, len(mine), size):
            tensors = as_tensors(self.windows.batch(mine[begin : begin + size], self.pad_id), workers.device)
            with self.precision.autocast():
                loss = self.step_loss(*tensors)
            self.precision.scaler.scale(loss / targets).backward()
            total += loss.item()
            if self.interrupt.asked and workers.size == 1:
                raise Interrupted
        for optimizer in self.optimizers:
            self.precision.scaler.unscale_(optimizer)
        workers.sum_gradients(self.trained)
        total = workers.sum([total])[0] if workers.size > 1 else total
        limit = self.recipe.max_grad_norm or math.inf
        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, limit))
        self._check_loss(total / targets, norm)
        rate = self.peak * self.recipe.learning_rate_factor(progress, step, self.num_steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            self.precision.scaler.step(optimizer)
        self.precision.scaler.update()
        self.rate = rate
        self.state = self.state.changed(
            step=step + 1,
            num_tokens=self.state.num_tokens + targets,
            loss_sum=self.state.loss_sum + total,
            loss_tokens=self.state.loss_tokens + targets,
        )

    def _check_loss(self, loss: float, norm: float) -> None:
        uniform = math.log(self.model.config.vocab_size)
        # In fp16 the gradient overflows now and then; the scaler skips such a step.
        scaled = self.precision.scaler.is_enabled()
        if math.isfinite(loss) and (scaled or math.isfinite(norm)) and loss < uniform + DIVERGED_NATS:
            return
        last = self.checkpoints.newest()
        what = "diverges" if math.isfinite(loss) else "is not a number"
        raise FabulaError(
            f"the training loss {what} ({loss:.3g} at step {self.state.step + 1}, length of the gradient {norm:.3g});"
            f" the last good checkpoint is {last}",
            hint=f"try a learning_rate below {self.peak:.2g} in the recipe",
        )

    def _log_step(self) -> None:
        state = self.state
        self._clock = self._elapsed()
        now = time.monotonic()
        rate = (state.num_tokens - self._rated_tokens) / max(1e-9, now - self._rated_at)
        loss = state.loss_sum / state.loss_tokens
        self._report(train_loss=loss, tokens_per_second=rate)
        if self.job.max_minutes is not None:
            if self._clock - self._logged_at < self.job.max_minutes * 60 / NUM_LOG_ROWS:
                return
        elif state.step % max(1, self.num_steps // NUM_LOG_ROWS):
            return
        self._logged_at = self._clock
        self._log(
            {
                "step": state.step,
                "epoch": round(state.step / self.steps_per_epoch, 4),
                "seconds": round(self._clock, 3),
                "train_loss": loss,
                "learning_rate": self.rate,
                "tokens_per_second": round(rate, 1),
            }
        )
        self.state = state.changed(loss_sum=0.0, loss_tokens=0)
        self._rated_at, self._rated_tokens = now, state.num_tokens

    def _log(self, row: dict[str, Any]) -> None:
        if self.workers.is_first:
            with (self.job.work / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            if self.tracker is not None:
                self.tracker.log(row)

    # Validation

    def _validate(self, due: int) -> None:
        began = time.monotonic()

        def on_tokens(progress: Progress) -> None:
            if self.interrupt.asked and self.workers.size == 1:
                raise Interrupted

        state = self.state
        stories = self.held_out.first(state.num_validation_stories)
        with self.precision.scoring():
            val_loss, bits_per_byte = validate(self.model, stories, self.workers, on_tokens)
        if not math.isfinite(val_loss):
            raise FabulaError(
                f"the loss on held-out stories is not a number at step {state.step};"
                f" the last good checkpoint is {self.checkpoints.newest()}",
                hint=f"try a learning_rate below {self.peak:.2g} in the recipe",
            )
        row = {"step": state.step, "seconds": round(self._elapsed(), 3), "val_loss": val_loss}
        self._log({**row, "bits_per_byte": bits_per_byte})
        better = state.num_validations == 0 or val_loss < state.best_val_loss
        # A base model is often best for a while, until the learning rate has fallen; that is no reason to stop.
        worse = not better and val_loss >= state.last_val_loss
        if better and state.step and self.workers.is_first:
            self.checkpoints.save_best(state.step, trained_weights(self.model))
        self.state = state.changed(
            num_validations=due,
            num_worse=state.num_worse + 1 if worse else 0,
            **(
                {"best_step": state.step, "best_val_loss": val_loss, "best_bits_per_byte": bits_per_byte}
                if better
                else {}
            ),
            **(
                {}
                if state.step
                else {
                    "base_val_loss": val_loss,
                    "base_bits_per_byte": bits_per_byte,
                    "started": self._elapsed(),
                }
            ),
            last_val_loss=val_loss,
            last_bits_per_byte=bits_per_byte,
        )
        self._report(val_loss=val_loss, bits_per_byte=bits_per_byte)
        if self.recipe.sample_tokens and self.workers.is_first:
            self._say(f"step {state.step:,} writes: {self._sample()}")
        seconds = time.monotonic() - began
        self._rated_at += seconds
        if self.job.max_minutes is not None:
            self._reserve = self.workers.from_first([1.5 * seconds + self._save_seconds])[0]

    @torch.no_grad()
    def _sample(self) -> str:
        """How a story of the model as it is now begins, on one line."""
        start = torch.tensor([[start_id(self.tokenizer)]], device=self.workers.device)
        torch.manual_seed(self.job.seed)
        self.model.eval()
        with quiet(), self.precision.autocast():
            ids = self.model.generate(
                input_ids=start,
                attention_mask=torch.ones_like(start),
                do_sample=True,
                top_k=0,
                top_p=0.95,
                max_new_tokens=self.recipe.sample_tokens,
                pad_token_id=self.pad_id,
            )
        self.model.train()
        text: Any = self.tokenizer.decode(ids[0, 1:], skip_special_tokens=True)
        return " ".join(text.split())

    def validation_tokens(self, num_steps: float) -> float:
        """How many tokens each validation of a training of so many steps may score, within the recipe's share of the
        time.

        Scoring reads most tokens twice (windows overlap by half), and costs a third of training on them.
        """
        positions = num_steps * self.batch_size * self.context_length
        return self.recipe.validation_share * 3 / 2 * positions / (self.recipe.num_validations + 1)

    def _num_validation_stories(self) -> int:
        steps = float(self.num_steps)
        if self.job.max_minutes is not None:
            probe = self.held_out.first(1)
            began = time.monotonic()
            with self.precision.scoring():
                validate(self.model, probe, self.workers, lambda _: None)
            speed = probe.num_tokens / (time.monotonic() - began)
            positions = speed * 2 / 3 * self.job.max_minutes * 60
            steps = min(steps, positions / (self.batch_size * self.context_length))
        return self.held_out.fitting(self.validation_tokens(steps))

    # Checkpoints

    def _resume(self) -> State:
        found = self.checkpoints.load()
        if found is None:
            (self.job.work / LOG).unlink(missing_ok=True)
            fresh = State(micro_batch_size=choose_micro_batch_size(self))
            stories = self.workers.from_first([self._num_validation_stories()])[0]
            return fresh.changed(num_validation_stories=int(stories))
        state, weights, optimizer, damaged = found
        for name in damaged:
            self._say(f"checkpoint {name} is damaged; the one before it is used")
        set_weights(self.model, weights)
        set_optimizer_tensors(self.model, self.optimizers, optimizer)
        self.precision.set_scale(state.loss_scale)
        self.seconds_before = state.seconds
        if self.workers.is_first:
            self._cut_log(state)
        self._say(f"goes on from step {state.step:,}")
        return state

    def _cut_log(self, state: State) -> None:
        """Drop the rows that were written after the checkpoint."""
        path = self.job.work / LOG
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        kept, validations = [], 0
        for row in rows:
            try:
                values = json.loads(row)
            except ValueError:
                break  # the last row of a process that was killed while it wrote
            validations += "val_loss" in values
            if values["step"] > state.step or ("val_loss" in values and validations > state.num_validations):
                break
            kept.append(row)
        path.write_text("".join(kept), encoding="utf-8")

    def _save(self) -> None:
        began = time.monotonic()
        self.state = self.state.changed(seconds=self._elapsed(), loss_scale=self.precision.scale())
        if self.workers.is_first:
            self.checkpoints.save(
                self.state, trained_weights(self.model), optimizer_tensors(self.model, self.optimizers)
            )
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - began
        self._rated_at += self._save_seconds

    # The end

    def _finish(self) -> None:
        """Write the model folder from the weights that won."""
        job, state = self.job, self.state
        best = self.recipe.keep == "best"
        if best and state.best_step != state.step:
            if state.best_step:
                set_weights(self.model, self.checkpoints.load_best(state.best_step))
            else:
                self._say("no validation was better than the base model; the base model is kept as it was")
        model = self.model
        if best and state.best_step == 0:
            model = load_model(self.base)
        elif self.recipe.lora_rank:
            model = model.merge_and_unload()
        model.generation_config.do_sample = True
        model.generation_config.eos_token_id = end_of_text_id(self.tokenizer)
        manifest = job.manifest.model_copy(
            update={
                "counts": {
                    "num_steps": state.step,
                    "num_tokens": state.num_tokens,
                    "num_parameters": self.num_parameters,
                    "num_trained": self.num_trained,
                    "padding": self.windows.padding,
                    "best_step": state.best_step if best else state.step,
                    "val_loss": state.best_val_loss if best else state.last_val_loss,
                    "bits_per_byte": state.best_bits_per_byte if best else state.last_bits_per_byte,
                    "base_val_loss": state.base_val_loss,
                    "base_bits_per_byte": state.base_bits_per_byte,
                },
                "versions": library_versions("torch", "transformers", "tokenizers"),
            }
        )
        with atomic_folder(job.out) as folder, quiet():
            model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            (folder / RECIPE_FILE).write_text(self.recipe.to_toml(), encoding="utf-8")
            shutil.copyfile(job.work / LOG, folder / LOG)
            if job.base is None:
                shutil.copytree(self.base, folder / FRESH_BASE)
            manifest.write(folder)
