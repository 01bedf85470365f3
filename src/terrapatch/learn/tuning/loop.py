"""The training loop: epochs on Lightning's Fabric, a checkpoint after each, the best kept.

Fabric puts the network on its device and runs it in its precision; the loop itself is
written out, because a resumed run has to give the very numbers of one that was not
interrupted: chance is seeded by the epoch, rates follow from the step, and a checkpoint
holds all the rest.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terrapatch.errors import RecipeError, SamplesError
from terrapatch.learn.tuning.feeds import PLAIN, Feed, in_order, shuffled
from terrapatch.learn.tuning.files import get_state, put_state
from terrapatch.learn.tuning.history import History
from terrapatch.learn.tuning.network import TunedNetwork
from terrapatch.learn.tuning.plan import Plan
from terrapatch.learn.tuning.settings import Settings

Ids = NDArray[np.int64]
Progress = Callable[[str, int, int], None]

CHECKPOINT, CURVES = "checkpoint.pt", "history.csv"
FABRIC = {"fp32": "32-true", "bf16": "bf16-mixed"}
LONGEST_STEP = 5.0


@dataclass(frozen=True)
class Part:
    """Labelled images of one part of the data.

    Attributes:
        feed: Gives them in batches.
        ids: Their classes, counted from 0.
    """

    feed: Feed
    ids: Ids


@dataclass
class Loop:
    """A run.

    Attributes:
        network: What is trained, in place.
        plan: When what is trained, and how fast.
        train: The training part.
        val: The validation part.
        settings: How it is trained.
        out: Folder of checkpoint and learning curves.
        key: What decides the numbers; a checkpoint with another is refused.
        device: ``cpu`` or ``cuda``.
        pooled: Whether the feeds give pooled features.
        history: What happened so far.
        progress: Called with ``("tune", epochs done, epochs in all)``.
    """

    network: TunedNetwork
    plan: Plan
    train: Part
    val: Part
    settings: Settings
    out: Path
    key: str
    device: str = "cpu"
    pooled: bool = False
    progress: Progress | None = None
    history: History = field(default_factory=History)
    _best: dict[str, torch.Tensor] = field(default_factory=dict)

    def run(self) -> History:
        """Train to the end, from the last checkpoint if there is one; keep the best weights.

        Raises:
            RecipeError: If the checkpoint is of another run, or damaged.
            SamplesError: If the loss stops being a number.
            OutputError: If the folder cannot be written.
        """
        fabric = _fabric(self.device, self.settings.precision)
        self.network.to(self.device)
        groups = self.network.groups(self.plan.freeze, self.settings.decay)
        optimiser = torch.optim.AdamW(groups, lr=self.plan.lr)
        self._resume(optimiser)
        model, wrapped = fabric.setup(self.network, optimiser)
        total = self.plan.epochs
        for epoch in range(len(self.history), total):
            if is_over(self.history, self.plan, self.settings.patience):
                break
            self.network.open_from(self.plan.lowest(epoch))
            with seeded(self.settings.seed, epoch, fabric.device):
                trained = self._train(fabric, model, wrapped, epoch)
            self._note(epoch, trained, self._evaluate(model))
            self._save(optimiser)
            if self.progress is not None:
                self.progress("tune", epoch + 1, total)
        self.network.put(self._best, self.plan.freeze)
        self.network.eval()
        return self.history

    def _train(self, fabric: Any, model: Any, optimiser: Any, epoch: int) -> tuple[float, float]:
        """Go through the training part once; return its loss and accuracy."""
        model.train()
        parts = shuffled(len(self.train.ids), self.settings.batch, self.settings.seed, epoch)
        loss = right = 0.0
        for step, (places, x) in enumerate(self.train.feed.batches(parts, epoch)):
            for group in optimiser.param_groups:
                group["lr"] = self.plan.rate(epoch + step / len(parts), group["stage"])
            truth = torch.from_numpy(self.train.ids[places]).to(x.device)
            scores = model(x, pooled=self.pooled).float()
            plain = functional.cross_entropy(scores.detach(), truth, reduction="sum")
            loss += float(plain)
            right += float((scores.argmax(1) == truth).sum())
            if not math.isfinite(loss):
                raise SamplesError(
                    f"the loss is no longer a number in epoch {epoch + 1}; choose a lower learning "
                    "rate (lr), or precision fp32"
                )
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(
                functional.cross_entropy(scores, truth, label_smoothing=self.settings.smoothing)
            )
            fabric.clip_gradients(model, optimiser, max_norm=LONGEST_STEP, error_if_nonfinite=False)
            optimiser.step()
        return loss / len(self.train.ids), right / len(self.train.ids)

    def _evaluate(self, model: Any) -> tuple[float, float]:
        """Return loss and accuracy on the validation part."""
        model.eval()
        loss = right = 0.0
        parts = in_order(len(self.val.ids), self.settings.batch)
        with torch.no_grad():
            for places, x in self.val.feed.batches(parts, PLAIN):
                truth = torch.from_numpy(self.val.ids[places]).to(x.device)
                scores = model(x, pooled=self.pooled).float()
                loss += float(functional.cross_entropy(scores, truth, reduction="sum"))
                right += float((scores.argmax(1) == truth).sum())
        return loss / len(self.val.ids), right / len(self.val.ids)

    def _note(self, epoch: int, trained: tuple[float, float], tried: tuple[float, float]) -> None:
        """Add the epoch to the history; keep the weights if they are the best so far."""
        self.history.add(
            train_loss=trained[0],
            val_loss=tried[0],
            train_accuracy=trained[1],
            val_accuracy=tried[1],
            lr=self.plan.rate(epoch, self.plan.stages),
            lowest=self.plan.lowest(epoch),
        )
        if self.history.best == epoch:
            kept = self.network.tensors(self.plan.freeze)
            self._best = {name: tensor.detach().cpu().clone() for name, tensor in kept.items()}

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        now = self.network.tensors(self.plan.freeze)
        state = {
            "key": self.key,
            "network": {name: tensor.detach().cpu() for name, tensor in now.items()},
            "best": self._best,
            "optimiser": optimiser.state_dict(),
            "history": self.history.as_dict(),
        }
        put_state(self.out / CHECKPOINT, state)
        self.history.save_csv(self.out / CURVES)

    def _resume(self, optimiser: torch.optim.Optimizer) -> None:
        path, state = self.out / CHECKPOINT, _state(self.out, self.key)
        if state is None:
            return
        try:
            self.history = History.from_dict(state["history"])
            self.network.put(state["network"], self.plan.freeze)
            self._best = state["best"]
            optimiser.load_state_dict(state["optimiser"])
        except (KeyError, TypeError, ValueError, RuntimeError) as fault:
            raise _damaged(path, fault) from fault


def previous_history(out: Path, key: str) -> History:
    """Return what happened in a run up to now; nothing if it has yet to begin.

    Raises:
        RecipeError: If the folder holds another run, or a damaged checkpoint.
    """
    state = _state(out, key)
    try:
        return History() if state is None else History.from_dict(state["history"])
    except (KeyError, TypeError, ValueError) as fault:
        raise _damaged(out / CHECKPOINT, fault) from fault


def is_over(history: History, plan: Plan, patience: int | None) -> bool:
    """Whether all epochs are done, or the validation loss has not fallen for ``patience``.

    Those are counted once all stages that are to be trained are open.
    """
    if len(history) >= plan.epochs or not len(history) or patience is None:
        return len(history) >= plan.epochs
    return len(history) - 1 - max(history.best, plan.fully_open) >= patience


def _state(out: Path, key: str) -> dict[str, Any] | None:
    """Read the checkpoint of a run, if there is one."""
    path = out / CHECKPOINT
    if not path.exists():
        return None
    state = get_state(path)
    if state.get("key") != key:
        raise RecipeError(
            f"{out} holds a run with other images, settings or versions; choose another folder, "
            f"or delete {path.name} in it to begin again"
        )
    return state


def _damaged(path: Path, fault: Exception) -> RecipeError:
    return RecipeError(f"{path} is damaged ({fault}); delete it to begin the run again")


def _fabric(device: str, precision: str) -> Any:
    """Return Lightning's Fabric for one device; what it would log is known already."""
    from lightning.fabric import Fabric

    logger = logging.getLogger("lightning")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        return Fabric(
            accelerator="cpu" if device == "cpu" else "cuda",
            devices=1,
            precision=FABRIC[precision],  # type: ignore[arg-type]
        )
    finally:
        logger.setLevel(before)


@contextmanager
def seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch for one epoch, and leave the caller's own chance as it was."""
    word = int(np.random.SeedSequence([seed, epoch, 3]).generate_state(1)[0])
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        torch.manual_seed(word)
        yield
