"""The weights of a model in training: which ones are trained, by which optimiser, and both as named tensors."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fabula.errors import FabulaError
from fabula.training.recipe import Recipe


def set_dropout(model: Any, dropout: float) -> None:
    """Set every dropout of the model, those inside attention included."""
    module: Any
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", dropout)  # noqa: B010 (nn.Module types its attributes)


def choose_trained(model: Any, recipe: Recipe) -> Any:
    """Freeze the recipe's share of the layers, or put LoRA adapters into the others. Returns the model to train."""
    frozen = (
        layers_of(model)[: round(recipe.freeze * model.config.num_hidden_layers)] if recipe.freeze else []
    )
    if recipe.lora_rank:
        return _with_lora(model, recipe, frozen)
    if frozen:
        for name, module in model.named_modules():
            if isinstance(module, nn.Embedding) or "emb" in name.rpartition(".")[2]:
                module.requires_grad_(False)
        model.get_output_embeddings().requires_grad_(False)
        for layer in frozen:
            layer.requires_grad_(False)
    return model


def layers_of(model: Any) -> list[nn.Module]:
    """The layers of a model, from the lowest on.

    Raises:
        FabulaError: the architecture does not keep its layers in a list of modules.
    """
    for module in model.base_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return list(module)
    raise FabulaError(
        "the layers of this architecture were not found, so they cannot be frozen, sharded or compiled"
    )


def _with_lora(model: Any, recipe: Recipe, frozen: list[nn.Module]) -> Any:
    from peft import LoraConfig, get_peft_model  # loads for a second

    assert recipe.lora_rank is not None
    names = [re.escape(name) for name, module in model.named_modules() if module in frozen]
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha or 2 * recipe.lora_rank,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        exclude_modules=rf"({'|'.join(names)})\..*" if names else None,
        fan_in_fan_out=model.config.model_type == "gpt2",
        task_type="CAUSAL_LM",
    )
    # peft warns about transformers, and about layers that it adapts itself to.
    with warnings.catch_warnings(action="ignore"):
        return get_peft_model(model, config)


def trained_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that training changes, by name; not copies of them."""
    return {
        name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def set_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Restore weights that `trained_weights` returned."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)


def optimizers_for(model: Any, recipe: Recipe, learning_rate: float) -> list[torch.optim.Optimizer]:
    """AdamW for the trained weights; with recipe.optimizer "muon", Muon for the matrices inside the layers and AdamW
    for the rest. Vectors (biases, normalisation) have no weight decay.

    Muon (Jordan 2024) makes the singular values of each matrix's mean gradient equal. Its step is scaled to the size of
    AdamW's (Liu et al. 2025, arXiv:2502.16982), so that one learning rate serves both.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)} | {
        id(model.get_output_embeddings().weight)
    }
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    inside = [p for p in trained if recipe.optimizer == "muon" and p.ndim == 2 and id(p) not in embeddings]
    taken = {id(parameter) for parameter in inside}
    rest = [parameter for parameter in trained if id(parameter) not in taken]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizers: list[torch.optim.Optimizer] = []
    if groups:
        betas = (recipe.beta1, recipe.beta2)
        adamw = torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=recipe.epsilon, fused=True)
        optimizers.append(adamw)
    if inside:
        muon = torch.optim.Muon(
            inside, lr=learning_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        optimizers.append(muon)
    return optimizers


def optimizer_tensors(
    model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, torch.Tensor]:
    """The optimisers' state as named tensors: AdamW's means and number of steps, or Muon's mean, of each weight."""
    return {
        f"{kind}.{name}": value.detach()
        for optimizer in optimizers
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for kind, value in optimizer.state[parameter].items()
    }


def set_optimizer_tensors(
    model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], tensors: dict[str, torch.Tensor]
) -> None:
    """Restore tensors that `optimizer_tensors` returned, and empty `tensors`."""
    parameters = dict(model.named_parameters())
    owner = {
        id(parameter): optimizer
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for key in list(tensors):
        kind, _, name = key.partition(".")
        parameter = parameters[name]
        owner[id(parameter)].state[parameter][kind] = tensors.pop(key).to(parameter.device, copy=True)
