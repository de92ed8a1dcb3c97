"""The costs of the steps of an epoch: their sum, and who hears of them."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from tqdm import tqdm

from glove_jax.training import divergence
from glove_jax.training.engine import Epoch


class EpochCosts:
  """Adds up the costs of an epoch, and shows them in a progress bar.

  The costs of a stack are read only when the next stack has been dispatched, so
  an accelerator never waits for the host. On a CPU the loop reads them before.
  """

  def __init__(
    self,
    epochs: Sequence[Epoch],
    epoch: int,
    bar: tqdm,
    on_step: Callable[[dict], None] | None = None,
  ):
    """Nothing is added up yet.

    Args:
      epochs: the sizes of all epochs of the run.
      epoch: which of them, from 1.
      bar: the progress bar, of counts.
      on_step: as for `loop.train`.
    """
    self.total = np.zeros(())
    self._epoch, self._bar, self._on_step = epoch, bar, on_step
    self._num_steps, self._num_triplets = epochs[epoch - 1]
    self._start = sum(size.num_steps for size in epochs[: epoch - 1])
    self._last = self._start  # the last step whose cost was read
    self._waiting = None  # (costs, ends) of the last stack

  def add(self, costs: jax.Array, ends: np.ndarray) -> None:
    """Takes the costs of a stack and the last step of each batch: [K]."""
    self.read()
    self._waiting = costs, ends

  def read(self) -> None:
    """Waits for the costs of the last stack."""
    if self._waiting is None:
      return
    (costs, ends), self._waiting = self._waiting, None
    self.total = self.total + divergence.finite_sum(costs, ends)
    if self._on_step:
      for cost, end in zip(np.asarray(costs), ends.tolist(), strict=True):
        if end > self._last:  # padding is no step
          self._on_step(
            {"epoch": self._epoch, "step": end, "cost": float(cost)}
          )
          self._last = end
    done = (ends[-1] - self._start) / self._num_steps
    counts_seen = done * self._num_triplets  # an estimate
    self._bar.update(counts_seen - self._bar.n)
    mean = np.mean(self.total) / max(counts_seen, 1)
    self._bar.set_postfix(cost=f"{mean:.5f}")
