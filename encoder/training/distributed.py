"""Where training runs: one CPU, one GPU, many GPUs, many machines, with the same loop.

The loop asks an `Engine` to place things, to differentiate, and to speak with the other workers.
`SingleEngine` is plain torch. `FabricEngine` leaves the starting of processes, their group and the
precision to Lightning Fabric; gradients are averaged here in one message after the backward pass,
which needs no wrapper around the network, so that checkpoints are the same with any number of
workers. Every worker's batch norm uses its own batch, and the running statistics that are kept are
those of worker 0.

On one machine `FabricEngine` starts the other processes by running the same command again. On many
machines start the same command on each, with MASTER_ADDR, MASTER_PORT and NODE_RANK set, or by
torchrun or SLURM.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from encoder.common.settings import Settings, bounded
from encoder.errors import BackendUnavailable, ConfigError

__all__ = [
    "Engine",
    "EngineConfig",
    "FabricEngine",
    "SingleEngine",
    "make_engine",
    "serve_cpu",
]

T = TypeVar("T")


@dataclass(frozen=True)
class EngineConfig(Settings):
    """Hardware of a training run."""

    device: Literal["auto", "cpu", "cuda"] = field(
        default="auto", metadata={"help": "auto: a GPU where there is one"}
    )
    devices: int = bounded(1, least=1, most=1024, help="workers on each machine")
    machines: int = bounded(1, least=1, most=1024, help="machines that run this command")
    precision: Literal["32-true", "bf16-mixed"] = field(
        default="32-true", metadata={"help": "bf16-mixed: half the memory, for recent GPUs"}
    )


class Engine(Protocol):
    """One worker's view of the hardware. All workers call the same methods in the same order."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this worker validates and writes files."""
        ...

    def setup(self, model: nn.Module, objective: nn.Module) -> nn.Module:
        """Move both to the device; the network to call in their place, in the right precision."""
        ...

    def to_device(self, batch: T) -> T:
        """The batch with its tensors on the device."""
        ...

    def backward(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        """Put into `.grad` of the parameters the gradient of the mean of all workers' losses."""
        ...

    def gather(self, rows: Tensor) -> Tensor:
        """(n, ...) of each worker -> (W n, ...), in order of rank, on the device.

        What any worker's loss does with a row is differentiated to the worker that made it.
        """
        ...

    def broadcast(self, value: T) -> T:
        """Worker 0's value, on every worker."""
        ...


def make_engine(config: EngineConfig) -> Engine:
    """The engine for a config; with several workers this starts them.

    Raises ConfigError for hardware that is not there, BackendUnavailable without Lightning Fabric.
    """
    if config.devices * config.machines == 1:
        return SingleEngine(config.device, precision=config.precision)
    return FabricEngine(config)


def _kind(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the device 'cuda' is not there: set device to cpu, or to auto")
    return device


class SingleEngine:
    """One worker, without any other package than torch."""

    rank = 0
    world_size = 1
    is_main = True

    def __init__(self, device: str = "cpu", *, precision: str = "32-true") -> None:
        self.device = torch.device(_kind(device))
        self.precision = precision

    def setup(self, model: nn.Module, objective: nn.Module) -> nn.Module:
        model.to(self.device)
        objective.to(self.device)
        if self.precision == "32-true":
            return model
        return _Mixed(model, lambda: torch.autocast(self.device.type, torch.bfloat16))

    def to_device(self, batch: T) -> T:
        return _moved(batch, self.device)

    def backward(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        loss.backward()

    def gather(self, rows: Tensor) -> Tensor:
        return rows.to(self.device)

    def broadcast(self, value: T) -> T:
        return value


class FabricEngine:
    """One of several workers. Making it starts the others."""

    def __init__(self, config: EngineConfig) -> None:
        kind = _kind(config.device)
        if kind == "cuda" and config.devices > torch.cuda.device_count():
            raise ConfigError(
                f"devices is {config.devices} and this machine has {torch.cuda.device_count()} "
                "GPUs: lower devices"
            )
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise BackendUnavailable(
                f"training with {config.devices * config.machines} workers needs lightning-fabric "
                f"({error}): pip install 'deepspeaker-diarize[train]', or use one worker"
            ) from error
        self.fabric = Fabric(
            accelerator=kind,
            devices=config.devices,
            num_nodes=config.machines,
            strategy="ddp",
            precision=config.precision,
        )
        self.fabric.launch()
        self.rank = self.fabric.global_rank
        self.world_size = self.fabric.world_size
        self.device = self.fabric.device
        self.precision = config.precision

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def setup(self, model: nn.Module, objective: nn.Module) -> nn.Module:
        model.to(self.device)
        objective.to(self.device)
        return model if self.precision == "32-true" else _Mixed(model, self.fabric.autocast)

    def to_device(self, batch: T) -> T:
        return _moved(batch, self.device)

    def backward(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        parameters = list(parameters)
        self.fabric.backward(loss)
        for p in parameters:  # all workers send the same list, whatever their batches touched
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        torch.distributed.all_reduce(flat)
        flat /= self.world_size
        for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def gather(self, rows: Tensor) -> Tensor:
        gathered: Tensor = _Gather.apply(rows.to(self.device), self.rank, self.world_size)
        return gathered

    def broadcast(self, value: T) -> T:
        return self.fabric.broadcast(value)


class _Gather(torch.autograd.Function):
    """All workers' rows; its gradient is the sum of what all workers want of mine."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, world_size: int) -> Tensor:
        ctx.rank, ctx.n = rank, len(rows)
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(world_size)]
        torch.distributed.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        torch.distributed.all_reduce(total)
        return total[ctx.rank * ctx.n : (ctx.rank + 1) * ctx.n], None, None


class _Mixed(nn.Module):
    """Calls a network in mixed precision; its embeddings come out in float32."""

    def __init__(
        self, model: nn.Module, autocast: Callable[[], contextlib.AbstractContextManager[Any]]
    ) -> None:
        super().__init__()
        self.model, self._autocast = model, autocast

    def forward(self, *inputs: Any) -> Any:
        with self._autocast():
            return self.model(*inputs).float()


@contextlib.contextmanager
def serve_cpu(model: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """While open, a network on `device` takes tensors from anywhere and answers on the CPU, so that
    a validation need not know where it runs."""
    if device.type == "cpu":
        yield model
        return
    hooks = (
        model.register_forward_pre_hook(lambda _, inputs: _moved(inputs, device)),
        model.register_forward_hook(lambda _, inputs, outputs: outputs.cpu()),
    )
    try:
        yield model
    finally:
        for hook in hooks:
            hook.remove()


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple):
        parts = [_moved(part, device) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    return batch
