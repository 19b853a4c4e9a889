"""Step 3 in a class: any style has all points, and a mistake costs its exercise, or a part of it."""

from __future__ import annotations

from typing import Any

import pytest

CORE, FURTHER = "model_exercise.py", "further_exercise.py"
OTHER_STYLE = {
    "pack": """
        whole = ([*document, end_of_text] for document in documents if len(document))
        return torch.tensor([i for document in whole for i in document], dtype=torch.long)
    """,
    "sample_blocks": """
        last = len(stream) - block_size
        if last < 0:
            raise ValueError(f"a block of {block_size} ids must fit, got {len(stream)}")
        draw = random.Random(str((seed, step)))
        starts = [draw.randint(0, last) for _ in range(batch_size)]
        return torch.stack([stream[start : start + block_size] for start in starts]).to(torch.int64)
    """,
    "training_step": """
        for parameter in model.parameters():
            parameter.grad = None
        found = model.train()(ids, labels=ids if labels is None else labels).loss
        found.backward()
        if max_norm is not None:
            clip_gradients(model.parameters(), max_norm)
        optimizer.step()
        return found.detach().clone()
    """,
    "evaluate": """
        was_training, bits = model.training, 0.0
        with torch.inference_mode():
            model.train(False)
            for ids, labels in batches:
                count = labels[:, 1:].ne(-100).sum().item()
                bits += float(model(ids, labels=labels)[1]) / math.log(2) * count
            model.train(was_training)
        return bits / num_bytes
    """,
    "learning_rate": """
        if step < warmup:
            return peak / warmup * (step + 1)
        left = math.cos(math.pi / 2 * min(1.0, (step - warmup) / max(1, total - warmup))) ** 2
        return peak * left + peak * floor * (1 - left)
    """,
    "clip_gradients": """
        gradients = [p.grad for p in parameters if p.grad is not None]
        length = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        if length > max_norm:
            for gradient in gradients:
                gradient *= max_norm / length
        return length
    """,
    "adamw_step": """
        t = state["t"] = state.get("t", 0) + 1
        m = betas[0] * state.get("m", torch.zeros_like(weight)) + (1 - betas[0]) * gradient
        v = betas[1] * state.get("v", torch.zeros_like(weight)) + (1 - betas[1]) * gradient**2
        state["m"], state["v"] = m, v
        way = m / (1 - betas[0] ** t) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
        weight -= lr * weight_decay * weight + lr * way
    """,
    # One text of JSON, in a file of a random name until it is whole.
    "save_checkpoint": """
        import base64, tempfile
        kept, random_state = optimizer.state_dict(), generator_states()
        def told(value):
            if isinstance(value, Tensor):
                raw = base64.b64encode(value.detach().cpu().contiguous().numpy().tobytes()).decode()
                return {"dtype": str(value.dtype)[6:], "shape": list(value.shape), "raw": raw}
            return value
        state = {i: {k: told(v) for k, v in values.items()} for i, values in kept["state"].items()}
        text = json.dumps({
            "model": {name: told(tensor) for name, tensor in model.state_dict().items()},
            "state": state, "groups": kept["param_groups"], "step": step, "extra": dict(extra or {}),
            "random": {name: told(tensor) for name, tensor in random_state.items()},
        })
        number, draft = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(number, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).rename(path)
        except BaseException:
            os.unlink(draft)
            raise
    """,
    "load_checkpoint": """
        import base64
        def back(value):
            if not isinstance(value, dict) or "raw" not in value:
                return value
            data = bytearray(base64.b64decode(value["raw"]))
            return torch.frombuffer(data, dtype=getattr(torch, value["dtype"])).reshape(value["shape"])
        try:
            found = json.loads(path.read_text())
            model_state = {name: back(value) for name, value in found["model"].items()}
            own = model.state_dict()
            if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in model_state.items()}:
                raise KeyError("other weights")
            state = {int(i): {k: back(v) for k, v in s.items()} for i, s in found["state"].items()}
            chance = {name: back(value) for name, value in found["random"].items()}
            optimizer.load_state_dict({"state": state, "param_groups": found["groups"]})
        except Exception as error:
            raise ValueError(f"{path} cannot be read as a checkpoint: {error}")
        model.load_state_dict(model_state)
        restore_generators(chance)
        return found["step"], found["extra"]
    """,
}
OTHER_STYLE_FURTHER = {
    "accumulate_gradients": """
        counts = [labels[:, 1:].ne(-100).sum().item() for _, labels in batches]
        nats = 0.0
        for (ids, labels), count in zip(batches, counts):
            if count:
                loss = loss_of(ids, labels)
                loss.backward(torch.tensor(count / sum(counts)))
                nats += loss.item() * count
        return torch.tensor(nats / sum(counts))
    """,
    "forward_mixed": """
        import contextlib
        plain = dtype is torch.float32
        with contextlib.nullcontext() if plain else torch.autocast(ids.device.type, dtype=dtype):
            logits, _, aux_loss = model(ids)
        logits = logits.to(torch.float32)
        return ModelOutput(logits=logits, loss=next_token_loss(logits, labels), aux_loss=aux_loss)
    """,
    "needs_scaler": "return torch.finfo(dtype).smallest_normal > 1e-30",
    "scaled_step": """
        if scaler.is_enabled():
            scaler.unscale_(optimizer)
        norm = clip_gradients(list(parameters), max_norm)
        scaler.step(optimizer)
        scaler.update()
        return norm
    """,
    "document_mask": """
        B, T = ids.shape
        mask = torch.zeros(B, 1, T, T, dtype=torch.bool)
        for b, row in enumerate(ids.tolist()):
            for t in range(T):
                for s in range(t + 1):
                    mask[b, 0, t, s] = end_of_text not in row[s:t]
        return mask
    """,
    "document_labels": """
        rest = ids[:, 1:].masked_fill(ids[:, :-1].eq(end_of_text), -100)
        return torch.cat([ids[:, :1], rest], dim=1)
    """,
    "orthogonalize": """
        a, b, c = 3.4445, -4.7750, 2.0315
        X = matrix / max(float(matrix.norm()), 1e-7)
        for _ in range(steps):
            if len(X) > X.shape[1]:
                X = a * X + X @ (b * X.mT @ X + c * X.mT @ X @ X.mT @ X)
            else:
                X = a * X + (b * X @ X.mT + c * X @ X.mT @ X @ X.mT) @ X
        return X
    """,
    "muon_step": """
        state["sum"] = momentum * state.get("sum", 0) + gradient
        direction = orthogonalize(gradient + momentum * state["sum"])
        further = max(1, weight.shape[0] / weight.shape[1]) ** 0.5
        weight.copy_((1 - lr * weight_decay) * weight - lr * further * direction)
    """,
    "stable_learning_rate": """
        up = (step + 1) / warmup if warmup else 1.0
        down = (total - step) / decay if decay else float(step < total)
        return peak * max(0.0, min(up, 1.0, down))
    """,
    "parameter_groups": """
        groups = [{"params": [], "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]
        for _, parameter in sorted(model.named_parameters(), key=lambda pair: pair[0]):
            if parameter.requires_grad:
                groups[parameter.ndim < 2]["params"].append(parameter)
        return groups
    """,
    "flops_per_token": "return 3 * (2 * num_weights + n_layers * 4 * width * block_size)",
    "utilization": "return flops / peak * tokens_per_second",
}
# Right as far as the partial credit goes, but for three: those cost all.
FAULTS = {
    CORE: {
        "evaluate": """
            nats = 0.0
            for ids, labels in batches:
                nats += model(ids, labels=labels).loss.item() * int((labels[:, 1:] != -100).sum())
            return nats / math.log(2) / num_bytes
        """,
        "learning_rate": "return peak * step / warmup if step < warmup else floor * peak",
        "clip_gradients": "return torch.nn.utils.clip_grad_norm_(parameters, max_norm)",
        "adamw_step": """
            gradient = gradient + weight_decay * weight
            t = state["t"] = state.get("t", 0) + 1
            m = betas[0] * state.get("m", torch.zeros_like(weight)) + (1 - betas[0]) * gradient
            v = betas[1] * state.get("v", torch.zeros_like(weight)) + (1 - betas[1]) * gradient**2
            state["m"], state["v"] = m, v
            weight -= lr * m / (1 - betas[0] ** t) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
        """,
    },
    FURTHER: {"document_labels": "return ids.clone()"},
}
COSTS_ALL = ("3.5", "3.6", "3.11b")
COSTS_A_PART = ("3.4", "3.7", "3.8")
# The generators stay behind in the process that saves: in it all is well, in the next one nothing is.
IN_MEMORY = {
    "def save_checkpoint(": "KEPT = {}\n\n\ndef save_checkpoint(",
    "in generator_states().items()": "in (KEPT.update(generator_states()) or {}).items()",
    "    restore_generators(states)": "    restore_generators(KEPT)",
}


@pytest.mark.slow
def test_any_style_has_all_points_and_a_mistake_costs_its_exercise_or_a_part_of_it(
    teach: Any, with_bodies: Any
) -> None:
    taught = teach("3")
    solutions = taught.solutions
    styled = {
        CORE: with_bodies(solutions[CORE], OTHER_STYLE),
        FURTHER: with_bodies(solutions[FURTHER], OTHER_STYLE_FURTHER),
    }
    faulty = {name: with_bodies(solutions[name], bodies) for name, bodies in FAULTS.items()}
    for old, new in IN_MEMORY.items():
        assert faulty[CORE].count(old) == 1, old
        faulty[CORE] = faulty[CORE].replace(old, new)
    points = {exercise.id: exercise.points for exercise in taught.step.exercises}
    parts = {e.id: e.partial.points for e in taught.step.exercises if e.partial}
    left = points | dict.fromkeys(COSTS_ALL, 0) | {item_id: parts[item_id] for item_id in COSTS_A_PART}
    handed_in = {"untouched": taught.stubs, "solution": solutions, "other-style": styled, "faulty": faulty}
    scores = taught.grade(handed_in)
    assert taught.scores_of("other-style") == points
    assert taught.scores_of("faulty") == left
    assert scores == {
        "untouched": 0.0,
        "solution": sum(points.values()),
        "other-style": sum(points.values()),
        "faulty": sum(left.values()),
    }
