"""What is trained when, and how fast: stages that open from the top, and rates that fall.

The stages of a network are numbered from its input, 0 the lowest; the new head stands
above the last. A stage that is closed keeps its weights and statistics. Everything here
is a function of the epoch alone, so a resumed run goes on as if it had not stopped.

========== ==================================================================
strategy   what is trained once the head has been trained alone
========== ==================================================================
all        every stage (``freeze`` 0)
part       the stages above the first ``freeze``
gradual    the same, opened one after another from the top
extractor  nothing more: the network describes, the head decides
========== ==================================================================

All, part and extractor are the three strategies of transfer learning as lectures list
them; the head first and then stage after stage is Howard and Ruder 2018 (ULMFiT, ACL), as
are rates that shrink from stage to stage downwards. Rates fall along half a cosine
(Loshchilov and Hutter 2017, SGDR, ICLR, without restarts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from terrapatch.errors import SamplesError

STRATEGIES = ("gradual", "all", "part", "extractor")
# How much faster the head learns while it is trained alone.
HEAD_BOOST = 10.0


@dataclass(frozen=True)
class Plan:
    """The course of a run.

    Attributes:
        strategy: One of the table above.
        stages: Stages of the network.
        freeze: How many of them, from the input, are never trained.
        epochs: Passes over the training part, those of the head alone included.
        head_epochs: Passes in which the head alone is trained.
        lr: Rate of the head and the highest stage when they are opened together.
        discriminative: What the rate is divided by from each stage to the one below.
    """

    strategy: str
    stages: int
    freeze: int
    epochs: int
    head_epochs: int
    lr: float
    discriminative: float = 1.0

    @classmethod
    def of(
        cls,
        strategy: str,
        stages: int,
        freeze: int | None,
        epochs: int,
        head_epochs: int,
        lr: float,
        discriminative: float,
    ) -> Plan:
        """Check what was asked for, and fill in what the strategy implies.

        Raises:
            SamplesError: If it does not make a course.
        """
        if strategy not in STRATEGIES:
            raise SamplesError(
                f"there is no strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}"
            )
        implied = {"all": 0, "extractor": stages}.get(strategy)
        count = _frozen(strategy, stages, freeze, implied)
        _check_rates(epochs, head_epochs, lr, discriminative)
        alone = epochs if count == stages else min(head_epochs, epochs)
        return cls(strategy, stages, count, epochs, alone, lr, discriminative)

    @property
    def fully_open(self) -> int:
        """The first epoch in which everything that is to be trained is trained."""
        return next((e for e in range(self.epochs) if self.lowest(e) == self.freeze), 0)

    def lowest(self, epoch: int) -> int:
        """Return the lowest stage trained in an epoch; ``stages`` where it is the head alone.

        Gradual opening takes the first half of the epochs that remain after the head's.
        """
        if epoch < self.head_epochs:
            return self.stages
        if self.strategy != "gradual":
            return self.freeze
        closed = self.stages - self.freeze
        half = max(1, (self.epochs - self.head_epochs) // 2)
        return self.stages - min(closed, 1 + (epoch - self.head_epochs) * closed // half)

    def rate(self, time: float, stage: int) -> float:
        """Return the rate of a stage, or of the head, at a time.

        Args:
            time: Epochs done, with the share of the present one.
            stage: Its number; ``stages`` for the head.
        """
        alone = self.freeze == self.stages
        if time < self.head_epochs and not alone:
            return self.lr * HEAD_BOOST if stage == self.stages else 0.0
        start = 0 if alone else self.head_epochs
        done = (time - start) / max(self.epochs - start, 1)
        depth = max(0, self.stages - 1 - stage)
        top = self.lr * (HEAD_BOOST if alone else 1.0)
        return top * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))) / self.discriminative**depth


def _frozen(strategy: str, stages: int, freeze: int | None, implied: int | None) -> int:
    if implied is not None:
        if freeze not in (None, implied):
            raise SamplesError(
                f"strategy {strategy} freezes {implied} of {stages} stages, so freeze={freeze} "
                "contradicts it; leave freeze out, or choose part or gradual"
            )
        return implied
    count = max(1, stages - 3) if freeze is None else freeze
    if not 0 <= count <= stages:
        raise SamplesError(
            f"freeze={freeze} stages cannot be had from a network of {stages}; choose 0 to {stages}"
        )
    return min(count, stages)


def _check_rates(epochs: int, head_epochs: int, lr: float, discriminative: float) -> None:
    if epochs < 1 or head_epochs < 0:
        raise SamplesError(
            f"epochs={epochs} and head_epochs={head_epochs} leave nothing to train; "
            "epochs is at least 1, head_epochs at least 0"
        )
    if not (0 < lr < 1 and math.isfinite(lr)):
        raise SamplesError(f"the learning rate {lr} is not between 0 and 1; try 0.001")
    if not (1 <= discriminative <= 100):
        raise SamplesError(
            f"discriminative={discriminative} is what rates are divided by from stage to stage; "
            "choose 1 (all alike) to 100"
        )
