"""What happened in every epoch of a run, as lists and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from terrapatch.learn.tuning.files import put


@dataclass
class History:
    """One number an epoch in each list.

    Losses are cross-entropies in nats, without label smoothing. Those of the training
    part are taken while it is trained on: with dropout and augmentation, and with the
    weights as they were at each step, as is usual for learning curves.

    Attributes:
        train_loss: Mean over the training part.
        val_loss: Mean over the validation part.
        train_accuracy: Share of the training part, 0 to 1.
        val_accuracy: Share of the validation part, 0 to 1.
        lr: Rate of the head at the beginning of the epoch.
        lowest: The lowest stage that was trained.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    lowest: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.train_loss)

    def add(self, **numbers: Any) -> None:
        """Add an epoch: one number for each list."""
        for one in fields(self):
            getattr(self, one.name).append(numbers[one.name])

    @property
    def best(self) -> int:
        """The epoch of the lowest validation loss, the first of equals."""
        return min(range(len(self)), key=lambda i: self.val_loss[i])

    def as_dict(self) -> dict[str, list[Any]]:
        """Return the lists by name."""
        return {one.name: list(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_dict(cls, lists: Mapping[str, list[Any]]) -> History:
        """Take over what ``as_dict`` returned.

        Raises:
            ValueError: If a list is missing, or they differ in length.
        """
        names = {one.name for one in fields(cls)}
        if set(lists) != names or len({len(v) for v in lists.values()}) > 1:
            raise ValueError("the learning history is incomplete")
        return cls(**{name: list(values) for name, values in lists.items()})

    def save_csv(self, path: Path) -> None:
        """Write one row an epoch, the epochs counted from 1.

        Raises:
            OutputError: If the file cannot be written.
        """
        lists = self.as_dict()
        text = io.StringIO(newline="")
        out = csv.writer(text, lineterminator="\n")
        out.writerow(["epoch", *lists])
        out.writerows([i, *row] for i, row in enumerate(zip(*lists.values(), strict=True), 1))
        put(path, text.getvalue().encode())
