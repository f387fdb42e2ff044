"""A player: a network and its optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gankit.compute.memory import flat, is_plain, laid_out_as
from gankit.errors import UsageError, nearest
from gankit.game.optimizers import fastest, full_name, optimizer_class
from gankit.game.schedules import option_at, option_changed
from gankit.game.settings import Optimizer


class Player:
    """A network and what else learns with it, with everything that changes them.

    Args:
        name: ``generator`` or ``discriminator``.
        modules: what learns when the player moves; the network first.
        optimizer: its class, options and schedules.
        scaler: scales the gradient in fp16.

    Raises:
        UsageError: the optimiser does not take these parameters.
    """

    def __init__(
        self,
        name: str,
        modules: Sequence[nn.Module],
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> None:
        self.name = name
        self.network = modules[0]
        self.parameters = [
            p for module in modules for p in module.parameters() if p.requires_grad
        ]
        self._options = fastest(optimizer.use, optimizer.options, modules)
        cls: Any = optimizer_class(optimizer.use)
        try:
            self.optimizer: torch.optim.Optimizer = cls(
                self.parameters, **self._options
            )
        except (ValueError, RuntimeError) as error:
            raise UsageError(
                f"{full_name(optimizer.use)} cannot train the {name}: {error}; "
                "choose another with optimizer.use"
            ) from error
        self.scaler = scaler
        self._settings = optimizer
        self._held: dict[str, Any] = {}
        self.has_moved = False  # so that the optimiser has its state
        self.restored = 0  # how often that was replaced by a checkpoint's

    def hold(self, **options: Any) -> None:
        """Set options of the optimiser, as ``lr``, which stay so: no schedule has them.

        They are saved with the run, and set again where it goes on.

        Raises:
            UsageError: the optimiser has no such option.
        """
        for name in options:
            if name not in self.optimizer.defaults:
                raise UsageError(
                    f"the optimiser {self._settings.use} of the {self.name} has no "
                    f"option {name!r}{nearest(name, self.optimizer.defaults)}"
                )
        self._held |= options
        self.apply_options()

    def release(self, *names: str) -> None:
        """Give options that were held back to the recipe and its schedules."""
        for name in names:
            self._held.pop(name, None)
        self.apply_options()

    def state_dict(self) -> dict[str, Any]:
        """Return the options that are held."""
        return {"held": dict(self._held)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self._held = dict(state["held"])

    def apply_options(self) -> None:
        """Set the optimiser's options anew, after a checkpoint has set the old ones."""
        # also what was not chosen here, and a checkpoint brings
        chosen = {k: v for k, v in self.optimizer.defaults.items() if k == "fused"}
        options = chosen | self._options | self._held
        for group in self.optimizer.param_groups:
            # one that an optimiser keeps elsewhere is as it was built with
            group.update({k: v for k, v in options.items() if group.get(k, v) != v})

    def take_up(self) -> None:
        """Fit what a checkpoint has brought to this run's options and weights."""
        self.apply_options()
        self.restored += 1
        self.has_moved = bool(self.optimizer.state)
        for parameter, state in self.optimizer.state.items():
            for name, kept in state.items():
                if isinstance(kept, Tensor):
                    state[name] = laid_out_as(parameter, kept)

    def take_gradient(self) -> list[Tensor]:
        """Take the gradient away: which parameters have one, (P,), and all of them."""
        there = [float(p.grad is not None) for p in self.parameters]
        taken = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters
        ]
        self.skip()
        return [torch.tensor(there), *taken]

    def give_gradient(self, there: Tensor, *gradients: Tensor) -> None:
        """Set the gradient; none where no shard had one."""
        for parameter, gradient, share in zip(
            self.parameters, gradients, there.tolist(), strict=True
        ):
            parameter.grad = gradient if share else None

    def norm(self, *, scaled: bool) -> Tensor:
        """Return the norm of the whole gradient, as the optimiser sees it, a scalar."""
        if scaled and self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer)
        present = [p.grad for p in self.parameters if p.grad is not None]
        if present and all(map(is_plain, present)):
            squares = (torch.dot(row, row).item() for row in map(flat, present))
            return torch.tensor(math.sqrt(sum(squares)))  # twice as fast as norms
        return nn.utils.get_total_norm(present).to(self.parameters[0].device)

    def update(
        self,
        *,
        norm: Tensor,
        steps: float,
        epochs: float,
        refused: Tensor | None = None,
    ) -> None:
        """Take one optimiser step with the accumulated gradient, and clear it.

        Args:
            norm: of the gradient.
            steps: steps of the game before this one, for schedules.
            epochs: passes over the data before this step, for schedules.
            refused: whether nothing is to move, a number on the device that a fused
                optimiser reads there.
        """
        time = {"steps": steps, "epochs": epochs}
        for option, schedule in self._settings.schedule.items():
            if option.partition(".")[0] in self._held:
                continue
            initial = option_at(self._settings.options, option)
            value = schedule(initial, time[schedule.unit])
            for group in self.optimizer.param_groups:
                group.update(option_changed(group, option, value))
        if self._settings.clip:
            nn.utils.clip_grads_with_norm_(self.parameters, self._settings.clip, norm)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad = laid_out_as(parameter, parameter.grad)
        optimizer: Any = self.optimizer
        if refused is not None:  # where a fused optimiser looks for what fp16 has found
            optimizer.found_inf = refused.float()
        try:
            self.scaler.step(optimizer)
        finally:
            if refused is not None:
                del optimizer.found_inf
        self.has_moved = True
        self.scaler.update()
        self.skip()

    def lower_scale(self) -> None:
        """Lower the scale of fp16, if the gradient was too large for it."""
        self.scaler.update()

    def skip(self) -> None:
        """Leave everything as it is, and clear the gradient."""
        for parameter in self.parameters:
            parameter.grad = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep every gradient out of this player's parameters."""
        learning = [p for p in self.parameters if p.requires_grad]
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)

    def learning(self) -> list[nn.Parameter]:
        """Return the parameters that learn now: no hook has frozen them.

        Raises:
            UsageError: there is none.
        """
        if learning := [p for p in self.parameters if p.requires_grad]:
            return learning
        raise UsageError(
            f"no parameter of the {self.name} requires a gradient, so that it cannot "
            "move; leave one as it is, or let it stand still with player.hold(lr=0.0)"
        )
