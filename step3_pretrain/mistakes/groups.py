"""3.14, what decays: known mistakes with what is in which group, and accepted variants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from coursekit.probe import mistake, variant

Groups = list[dict[str, Any]]


def trained(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are trained, each once."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def split(decaying: Iterable[nn.Parameter], every: Iterable[nn.Parameter], weight_decay: float) -> Groups:
    """Return two groups: the decaying ones, and all others."""
    chosen = list(decaying)
    known = {id(parameter) for parameter in chosen}
    rest = [parameter for parameter in every if id(parameter) not in known]
    return [{"params": chosen, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


@mistake("3.14")
def gains_decay(model: nn.Module, weight_decay: float) -> Groups:
    """Your gains decay: only what is called a bias is left out. A gain that decays pulls the stream toward 0,
    and the next gradient pulls it back. Count dimensions: gains have one.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decaying = [p for name, p in named if not name.endswith("bias")]
    return split(decaying, trained(model), weight_decay)


@mistake("3.14")
def by_names(model: nn.Module, weight_decay: float) -> Groups:
    """Your groups go by names: what has "bias" or "norm" in it does not decay. A gain under another name does
    then, and a matrix whose layer is called so does not. Dimensions cannot be called otherwise.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decaying = [p for name, p in named if "bias" not in name and "norm" not in name]
    return split(decaying, trained(model), weight_decay)


@mistake("3.14")
def all_decay(model: nn.Module, weight_decay: float) -> Groups:
    """Your parameters decay all of them, gains and biases too; the second group is empty."""
    return split(trained(model), [], weight_decay)


@mistake("3.14")
def embeddings_still(model: nn.Module, weight_decay: float) -> Groups:
    """Your embeddings do not decay. They have two dimensions, and decay like all matrices here."""
    tables = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Embedding)}
    decaying = [p for p in trained(model) if p.dim() >= 2 and id(p) not in tables]
    return split(decaying, trained(model), weight_decay)


@mistake("3.14")
def experts_still(model: nn.Module, weight_decay: float) -> Groups:
    """Your experts do not decay: only what has exactly two dimensions does. Experts have three, and are
    matrices like others.
    """
    return split([p for p in trained(model) if p.dim() == 2], trained(model), weight_decay)


@mistake("3.14", called="Experts are in neither group")
def experts_lost(model: nn.Module, weight_decay: float) -> Groups:
    """Your experts are in neither group, having neither one dimension nor two. Nobody would train them."""
    decaying = [p for p in trained(model) if p.dim() == 2]
    return split(decaying, [p for p in trained(model) if p.dim() < 2], weight_decay)


@mistake("3.14")
def linear_alone(model: nn.Module, weight_decay: float) -> Groups:
    """Your groups let only the matrices of nn.Linear decay: embeddings and experts stand by. What counts is
    the number of dimensions.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    matrices = {id(layer.weight) for layer in layers}
    return split([p for p in trained(model) if id(p) in matrices], trained(model), weight_decay)


@mistake("3.14")
def frozen_kept(model: nn.Module, weight_decay: float) -> Groups:
    """Your groups hold frozen parameters, too. An optimizer skips what has no gradient, but some keep state
    for all, and count them.
    """
    every = list(model.parameters())
    return split([p for p in every if p.dim() >= 2], every, weight_decay)


@mistake("3.14")
def shared_twice(model: nn.Module, weight_decay: float) -> Groups:
    """Your groups hold a matrix with two names twice. It would decay twice and move twice at each step, and
    torch warns of it: model.parameters() gives each once.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    every = [p for _, p in named if p.requires_grad]
    return split([p for p in every if p.dim() >= 2], every, weight_decay)


@mistake("3.14", called="The two groups stand in the other order")
def exchanged(model: nn.Module, weight_decay: float) -> Groups:
    """Your groups stand in the other order: first what does not decay. Whoever takes them apart expects what
    decays first.
    """
    return split([p for p in trained(model) if p.dim() >= 2], trained(model), weight_decay)[::-1]


@mistake("3.14", called="Vectors decay, and matrices do not")
def upside_down(model: nn.Module, weight_decay: float) -> Groups:
    """Your vectors decay, and your matrices do not: the wrong way round."""
    return split([p for p in trained(model) if p.dim() < 2], trained(model), weight_decay)


@mistake("3.14", called="The second group says nothing of its decay")
def no_zero(model: nn.Module, weight_decay: float) -> Groups:
    """Your second group does not say weight_decay = 0. The optimizer fills in its own default, and the
    vectors decay after all.
    """
    decaying, still = split([p for p in trained(model) if p.dim() >= 2], trained(model), weight_decay)
    return [decaying, {"params": still["params"]}]


@mistake("3.14", called="The decay is always 0.1")
def fixed_decay(model: nn.Module, weight_decay: float) -> Groups:
    """Your first group decays by 0.1, whatever `weight_decay` says."""
    return split([p for p in trained(model) if p.dim() >= 2], trained(model), 0.1)


@mistake("3.14", called="Only the model's own parameters are there, not those of its parts")
def top_alone(model: nn.Module, weight_decay: float) -> Groups:
    """Your groups hold only what the model itself has (recurse=False), not the parameters of its parts."""
    own = [p for p in model.parameters(recurse=False) if p.requires_grad]
    return split([p for p in own if p.dim() >= 2], own, weight_decay)


@variant("3.14")
def by_loop(model: nn.Module, weight_decay: float) -> Groups:
    """Sorted one by one, by name, with more in the groups than is asked for."""
    groups: Groups = [
        {"params": [], "weight_decay": weight_decay, "name": "matrices"},
        {"params": [], "weight_decay": 0.0, "name": "vectors"},
    ]
    for _, parameter in sorted(model.named_parameters(), key=lambda pair: pair[0]):
        if parameter.requires_grad:
            groups[parameter.ndim < 2]["params"].append(parameter)
    return groups


@variant("3.14")
def by_layers(model: nn.Module, weight_decay: float) -> Groups:
    """Layer by layer, what was seen remembered."""
    seen: set[int] = set()
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for layer in model.modules():
        for parameter in layer.parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                (matrices if len(parameter.shape) > 1 else vectors).append(parameter)
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


@variant("3.14")
def by_name(model: nn.Module, weight_decay: float) -> Groups:
    """A dict of names for each group; a decay of 0 as a whole number."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = {name for name, p in named.items() if p.ndim not in (0, 1)}
    return [
        {"params": [named[name] for name in named if name in matrices], "weight_decay": weight_decay},
        {"params": [named[name] for name in named if name not in matrices], "weight_decay": 0},
    ]
