"""One run of a probe on one implementation: the claims in order, and the exception that ended it, if one
did.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from coursekit.judging.wire import freeze
from coursekit.probe import MAX_HANDED_ON, Claim, Rng, as_claim, as_claims, marked


@dataclass(frozen=True)
class Raised:
    """The exception that ended a run. `traceback` holds the learner's own frames, `line` the last of their
    lines.
    """

    type: str
    message: str
    traceback: str = ""
    line: int | None = None
    in_learner: bool = True
    stage: str = "probe"


@dataclass(frozen=True)
class Run:
    """What a probe observed. `returns` says, call by call, what the exercise's own functions returned.

    `files` are handed on where a second part of the check follows in a new process; `joined` is then the run.
    """

    claims: tuple[Claim, ...]
    raised: Raised | None = None
    returns: tuple[str, ...] = ()
    files: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class Chained:
    """The run of one chain of an item, and under which conditions the chain runs."""

    title: str
    run: Run


def seeded(seed: int, item_id: str) -> Rng:
    """Return the numbers of one exercise under one seed: different exercises draw different numbers."""
    return Rng((seed << 32) ^ zlib.crc32(item_id.encode()))


def find_probe(checks: Sequence[ModuleType], item_id: str) -> Callable[..., Generator[Any, None, Any]]:
    """Return the probe of an item. Raises ValueError where the step has none or several."""
    probes = marked(checks, "check", item_id)
    if len(probes) != 1:
        raise ValueError(f"{item_id} must have exactly one @check, got {len(probes)}")
    return probes[0]


def start_probe(
    checks: Sequence[ModuleType], item_id: str, m: Any, seed: int, files: Mapping[str, bytes] | None = None
) -> Generator[Any, None, Any]:
    """Return an item's probe on an implementation: the check or, with the files of that, its second part."""
    if files is None:
        return find_probe(checks, item_id)(m, seeded(seed, item_id))
    second = marked(checks, "new process", item_id)
    if len(second) != 1:
        raise ValueError(f"{item_id} must have one part for a new process, got {len(second)}")
    return second[0](m, seeded(seed, item_id), files)


def whole_probe(checks: Sequence[ModuleType], item_id: str, m: Any, seed: int) -> Iterator[Any]:
    """Yield what both parts of an item's check yield, in this process: where a keyboard is there."""
    files = yield from start_probe(checks, item_id, m, seed)
    if files is not None:
        yield from start_probe(checks, item_id, m, seed, files)


def observe(probe: Iterator[Any], claims: list[Claim]) -> Mapping[str, bytes] | None:
    """Add the claims that a probe yields, frozen one by one, and return the files that it hands on."""
    while True:
        try:
            item = next(probe)
        except StopIteration as end:
            return None if end.value is None else within_limit(end.value)
        claims.append(frozen(as_claim(item)))


def within_limit(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return files that may be handed on. Raises ValueError for more than MAX_HANDED_ON bytes of them."""
    if (count := sum(map(len, files.values()))) > MAX_HANDED_ON:
        raise ValueError(f"files may have at most {MAX_HANDED_ON} bytes in all, got {count}")
    return files


def run_probe(
    checks: Sequence[ModuleType], item_id: str, m: Any, seed: int, files: Mapping[str, bytes] | None = None
) -> Run:
    """Run an item's probe on an implementation, with files its second part; an exception of the
    implementation ends the run and is noted.
    """
    probe = start_probe(checks, item_id, m, seed, files)
    claims: list[Claim] = []
    handed_on = raised = None
    try:
        handed_on = observe(probe, claims)
    except Exception as error:  # noqa: BLE001 - whatever an implementation raises is an observation
        raised = Raised(type(error).__name__, str(error))
    is_promised = files is None and bool(marked(checks, "new process", item_id))
    if raised is None and (handed_on is not None) != is_promised:
        raise ValueError(f"the check of {item_id} must hand on files if a second part follows, and only then")
    return Run(tuple(claims), raised, files=handed_on)


def joined(first: Run, second: Run) -> Run:
    """Return the runs of both parts of a check as one."""
    claims, returns = (*first.claims, *second.claims), (*first.returns, *second.returns)
    return Run(claims, second.raised, returns)


def run_chains(checks: Sequence[ModuleType], item_id: str, m: Any, seed: int) -> list[Chained]:
    """Run an item's chains on an implementation; what it raises ends a chain and is noted."""
    found = []
    for steps in marked(checks, "steps", item_id):
        claims: list[Claim] = []
        raised = None
        try:
            for claim in as_claims(steps(m, seeded(seed, item_id))):
                claims.append(frozen(claim))
        except Exception as error:  # noqa: BLE001 - whatever an implementation raises is an observation
            raised = Raised(type(error).__name__, str(error))
        found.append(Chained(" ".join((steps.__doc__ or "").split()), Run(tuple(claims), raised)))
    return found


def frozen(claim: Claim) -> Claim:
    """Return the claim with its values as plain data, taken at this moment (later in-place changes do not
    show).
    """
    return dataclasses.replace(
        claim,
        value=freeze(claim.value),
        probabilities=freeze(claim.probabilities),
        given=freeze(claim.given),
    )


def decide_holds(checks: Sequence[ModuleType], want: Run, got: Run) -> Run:
    """Return the run with every "holds" claim's value replaced by whether its predicate accepts it.

    The predicate sees the value observed and the trusted run's `given`. It runs on the trusted side only. A
    value on which it raises is not accepted.
    """
    claims = list(got.claims)
    predicates = {name: value for module in checks for name, value in vars(module).items()}
    for i, (wanted, claim) in enumerate(zip(want.claims, got.claims)):
        if wanted.kind == "holds":
            accepts = predicates[wanted.predicate or ""]
            claims[i] = dataclasses.replace(claim, value=_accepts(accepts, claim.value, wanted.given))
    return dataclasses.replace(got, claims=tuple(claims))


def _accepts(predicate: Callable[[Any, Any], Any], value: Any, given: Any) -> bool:
    try:
        return bool(predicate(value, given))
    except Exception:  # noqa: BLE001 - of whatever type: what cannot be looked at does not hold
        return False


def run_to_data(run: Run) -> dict[str, Any]:
    """Return the run as data that `wire.save` takes."""
    return {
        "claims": [
            {f.name: getattr(claim, f.name) for f in dataclasses.fields(Claim)} for claim in run.claims
        ],
        "raised": None if run.raised is None else dataclasses.asdict(run.raised),
        "returns": list(run.returns),
        "files": freeze(run.files),
    }


def run_from_data(data: dict[str, Any]) -> Run:
    """Return the run behind `run_to_data`. Raises ValueError, TypeError or KeyError for anything else."""
    raised = None if data["raised"] is None else Raised(**data["raised"])
    texts = [*data["returns"]]
    if raised is not None:
        texts += [raised.type, raised.message, raised.traceback, raised.stage]
        if type(raised.line) not in (int, type(None)):
            raise TypeError(f"a line must be a whole number, got {raised.line!r}")
    if not all(type(text) is str for text in texts):
        raise TypeError(f"what is told must be text, got {texts}")
    claims = tuple(Claim(**claim) for claim in data["claims"])
    return Run(claims, raised, tuple(data["returns"]), files_from_data(data["files"]))


def files_from_data(data: Any) -> Mapping[str, bytes] | None:
    """Return the files behind `freeze`. Raises ValueError, TypeError or KeyError for anything else."""
    if data is None:
        return None
    if not isinstance(data, dict):
        raise TypeError(f"files must be bytes by name, got {type(data).__name__}")
    return within_limit({name: bytes.fromhex(file["bytes"]) for name, file in data.items()})


def chains_to_data(chains: Sequence[Chained]) -> list[dict[str, Any]]:
    """Return the chains as data that `wire.save` takes."""
    return [{"title": chain.title, "run": run_to_data(chain.run)} for chain in chains]


def chains_from_data(data: Any) -> list[Chained]:
    """Return the chains behind `chains_to_data`. Raises ValueError, TypeError or KeyError for others."""
    return [Chained(str(chain["title"]), run_from_data(chain["run"])) for chain in data]
