"""Reading tensors from files without running code, and putting them into networks."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from terrapatch.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

    from terrapatch.backbones.architecture import Architecture

# Where training programs put the tensors, and what they put before their names.
TABLES = ("state_dict", "model", "model_state", "model_state_dict", "teacher", "encoder")
PREFIXES = ("module.", "model.", "backbone.", "encoder.", "network.")
COUNTER = "num_batches_tracked"
# What torch raises on files that are cut short or of another kind.
DAMAGE = (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a table of tensors from safetensors or torch's own formats.

    torch's files are pickles; they are read with ``weights_only=True``, which builds
    tensors and plain containers and refuses everything else, so that no code can run.

    Args:
        path: The file; its content, not its name, tells the format.

    Returns:
        Tensors by name, in the file's order, on the CPU.

    Raises:
        WeightsError: If it cannot be read, or is not a table of tensors.
    """
    given = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    for key in TABLES:
        if isinstance(given, Mapping) and isinstance(given.get(key), Mapping):
            given = given[key]
            break
    if not isinstance(given, Mapping) or not all(map(torch.is_tensor, given.values())):
        raise WeightsError(f"{path} is not a table of tensors; get the right file")
    return dict(given)


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(9)
    # Eight bytes of length, then a JSON object; torch's zip and pickles begin otherwise.
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < 100 << 20


def is_known_format(path: Path) -> bool:
    """Whether a file begins as safetensors or as one of torch's own formats does."""
    with path.open("rb") as stream:
        head = stream.read(4)
    return _is_safetensors(path) or head == b"PK\x03\x04" or head[:1] == b"\x80"


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as fault:
        raise WeightsError(
            f"{path} cannot be read as weights ({fault}): it is cut short or damaged; get it again"
        ) from fault


def _read_torch(path: Path) -> Any:
    from safetensors import SafetensorError  # torch reads what is called so itself

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        raise WeightsError(
            f"{path} cannot be read as weights: it is no file of tensors, or it holds more than "
            "tensors, and loading it could run code, so it is refused; give a file of tensors "
            "(safetensors, or a state_dict saved by torch)"
        ) from fault
    except (*DAMAGE, SafetensorError) as fault:
        raise WeightsError(
            f"{path} cannot be read as weights: it is cut short, damaged or another kind of file; "
            "get it again"
        ) from fault


def put(
    network: nn.Module, architecture: Architecture, given: dict[str, torch.Tensor], path: Path
) -> bool:
    """Put tensors into a network by their names.

    Published names are brought to the network's; auxiliary classifiers are left out;
    half-precision files are brought to fp32. The classifier itself may be missing or
    have another number of classes.

    Args:
        network: The network, changed in place.
        architecture: Its blueprint.
        given: Tensors by name.
        path: The file they are from, for messages.

    Returns:
        Whether the classifier's tensors were among them.

    Raises:
        WeightsError: If they are the tensors of another network.
    """
    own = network.state_dict()
    if architecture.rename is not None:
        given = architecture.rename(given)
    given = _without_prefix(given, own)
    head = f"{architecture.classifier}."
    fitting = {
        name: tensor
        for name, tensor in given.items()
        if not name.startswith(architecture.ignore or ("\0",))
    }
    lacking = [n for n in own if n not in fitting and not n.endswith(COUNTER)]
    surplus = [n for n in fitting if n not in own and not n.endswith(COUNTER)]
    unlike = [n for n, t in fitting.items() if n in own and t.shape != own[n].shape]
    bad = [n for n in (*lacking, *surplus, *unlike) if not n.startswith(head)]
    if bad:
        raise WeightsError(_foreign(path, architecture.name, bad, lacking, surplus, own, fitting))
    whole = not (lacking or surplus or unlike)
    kept = {n: t.to(own[n].dtype) for n, t in fitting.items() if n in own and n not in unlike}
    network.load_state_dict(kept, strict=False)
    return whole


def _without_prefix(
    given: dict[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Take off what a training program put before every name, as far as that helps."""
    best, hits = given, sum(n in own for n in given)
    for prefix in PREFIXES:
        stripped = {n.removeprefix(prefix): t for n, t in given.items() if n.startswith(prefix)}
        if sum(n in own for n in stripped) > hits:
            best, hits = stripped, sum(n in own for n in stripped)
    return best


def _foreign(
    path: Path,
    name: str,
    bad: list[str],
    lacking: list[str],
    surplus: list[str],
    own: Mapping[str, torch.Tensor],
    given: Mapping[str, torch.Tensor],
) -> str:
    first = bad[0]
    if first in lacking:
        detail = f"{first} is missing"
    elif first in surplus:
        detail = f"{first} is not one of its tensors"
    else:
        detail = f"{first} has shape {tuple(given[first].shape)}, not {tuple(own[first].shape)}"
    more = f", and {len(bad) - 1} more differences" if len(bad) > 1 else ""
    return (
        f"{path} holds the weights of another network than {name} ({detail}{more}); give the "
        "weights of this network, or choose the backbone they belong to"
    )


def put_in_order(network: nn.Module, given: dict[str, torch.Tensor], path: Path) -> None:
    """Put tensors into a network that stand in its order under other names.

    Raises:
        WeightsError: If a tensor has another shape or kind.
    """
    own = network.state_dict()
    pairs = list(zip(own.items(), given.items(), strict=False))
    fits = len(own) == len(given) and all(
        mine.shape == theirs.shape and a.rsplit(".")[-1] == b.rsplit(".")[-1]
        for (a, mine), (b, theirs) in pairs
    )
    if not fits:
        raise WeightsError(
            f"{path} holds the weights of another network ({len(given)} tensors, {len(own)} are "
            "needed, or their shapes differ); get the right file"
        )
    network.load_state_dict({a: theirs for (a, _), (_, theirs) in pairs})


def fingerprint(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return a hash of names, shapes and values of tensors."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()
