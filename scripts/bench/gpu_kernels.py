"""Lines of `gpu.py`: what the card is, and what products and the two kernels of decoding do on it.

Shapes: A rows, V vocabulary, N pages of P places, M of a row, J key heads, D head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import torch
from gpu_setup import SHAPES, Setup, bandwidth, plainly, seconds_of, unmeasured
from gpu_steps import step_time
from mixture import Shape
from report import Figure
from torch.nn.functional import linear

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine import kv_cache, one_pass, paged_attention
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import decoding, response_values
from mentor_pl.runtime.machine import host_memory, processor

SIZE, WIDTH = 151665, 151936  # ids of Qwen2.5's tokenizer, and that its models embed
ROWS = (64, 256)
PRODUCTS = "products ÷ reading weights once, 1.5B, 64 rows"


def card(setup: Setup) -> Iterator[Figure]:
    """Name, memory, versions, and the bandwidth that rooflines are drawn at."""
    name, memory = processor(), host_memory()
    if setup.on_gpu:
        name, memory = torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1]
    said = [name, f"{memory / 2**30:.1f} GiB", f"torch {torch.__version__}", f"CUDA {torch.version.cuda}"]
    said += [f"{package} {_version(package)}" for package in ("triton", "transformers")]
    yield Figure("copy bandwidth", bandwidth(setup) / 1e9, "GB/s", detail=", ".join(said))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def attention(setup: Setup) -> Iterator[Figure]:
    """Which kernel attention gets, and why not the one that reads pages."""
    for name in SHAPES:
        reason = _no_pages(setup, setup.shape(name))
        what = "0: attention gathers pages; 1: its kernel reads them where they lie"
        yield Figure(f"attention kernel, {name}", 0.0 if reason else 1.0, "", detail=reason or what)
        if not reason:
            yield _reading(setup, name)


def _reading(setup: Setup, name: str) -> Figure:
    """Attention of a step beside reading its keys and values once, over as many layers' as no card keeps at hand."""
    shape, rows, places, layers = setup.shape(name), ROWS[0], setup.of(612, 21), setup.of(8, 2)
    size, columns = shape.hidden // shape.heads, -(-places // setup.page)
    options = {"device": setup.device, "dtype": setup.dtype}
    caches = torch.randn(layers, 2, rows * columns, setup.page, shape.key_heads, size, **options)  # [·, ·, N, P, J, D]
    query = torch.randn(rows, shape.heads, size, **options)
    table = torch.randperm(rows * columns, device=setup.device).view(rows, columns)  # [A, M]
    used = torch.full((rows,), places, device=setup.device)
    chunks = paged_attention.Chunks(table, used, setup.page, shape.heads // shape.key_heads)

    def run() -> None:
        for keys, values in caches:
            paged_attention.attend_in_chunks(query, keys, values, chunks, None)

    taken = seconds_of(setup, run, calls=1) / layers
    floor = 2 * query.element_size() * rows * places * shape.key_heads * size / bandwidth(setup)
    detail = f"{1e6 * taken:.0f} µs a layer against {1e6 * floor:.0f}; {places} places a row"
    return Figure(f"attention ÷ reading keys and values once, {name}, {rows} rows", taken / floor, detail=detail)


def products(setup: Setup) -> Iterator[Figure]:
    """A step's products by themselves beside reading their weights once, as a model has them and joined by input."""
    shape, rows = setup.shape("1.5B"), ROWS[0]
    hidden, narrow, options = shape.hidden, shape.hidden // shape.heads * shape.key_heads, {"device": setup.device}
    joined = [
        torch.randn(width, inputs, dtype=setup.dtype, **options)
        for _ in range(shape.layers)
        for width, inputs in (
            (hidden + 2 * narrow, hidden),
            (hidden, hidden),
            (2 * shape.inner, hidden),
            (hidden, shape.inner),
        )
    ]
    joined.append(torch.randn(setup.vocabulary, hidden, dtype=setup.dtype, **options))
    parts = {hidden + 2 * narrow: [hidden, narrow, narrow], 2 * shape.inner: [shape.inner] * 2}
    apart = [part for weight in joined for part in weight.split(parts.get(len(weight), len(weight)))]
    asked = {width: torch.randn(rows, width, dtype=setup.dtype, **options) for width in (hidden, shape.inner)}
    floor = sum(weight.nbytes for weight in joined) / bandwidth(setup)
    for name, weights in (("", apart), (", joined by input", joined)):
        taken = seconds_of(setup, lambda: [linear(asked[weight.shape[1]], weight) for weight in weights], calls=1)  # noqa: B023
        detail = f"{1e3 * taken:.2f} ms against {1e3 * floor:.2f}, in {len(weights)} products"
        yield Figure(f"{PRODUCTS}{name}", taken / floor, detail=detail)


def _no_pages(setup: Setup, shape: Shape) -> str:
    """Why attention of this shape does not read pages where they lie; nothing where it does."""
    size = shape.hidden // shape.heads
    heads, device = (shape.heads, shape.key_heads, size), torch.device(setup.device, 0 if setup.on_gpu else None)
    if kv_cache.usable(*heads, setup.page, setup.dtype, device):
        return ""
    if not setup.page:
        return "a row is a page"
    return paged_attention.problem(*heads, setup.page, setup.dtype, device)


def sampling(setup: Setup) -> Iterator[Figure]:
    """The one-pass kernel beside the plain way, on equal logits and noise."""
    sampled = SamplingParams()
    if not one_pass.usable(sampled, torch.device(setup.device)):
        yield unmeasured("one-pass kernel", "needs a GPU with Triton")
        return
    size, width = setup.of((SIZE, WIDTH), (301, 304))
    generator = torch.Generator(setup.device).manual_seed(0)
    for rows in setup.of(ROWS, (4, 8)):
        logits = 3 * torch.randn(rows, width, generator=generator, device=setup.device)
        keys, places = torch.randint(2**62, (2, rows), generator=generator, device=setup.device)
        arguments = (logits.to(setup.dtype), keys, places % 8192, sampled, size, True)
        found = one_pass.drafts(*arguments)
        taken = seconds_of(setup, lambda: one_pass.drafts(*arguments))  # noqa: B023 (called here)
        with plainly(one_pass):
            right = one_pass.drafts(*arguments)
            before = seconds_of(setup, lambda: one_pass.drafts(*arguments))  # noqa: B023
        same = found[0] == right[0]
        off = [float((a - b).abs().where(same, 0).max()) for a, b in zip(found[1:3], right[1:3], strict=True)]
        detail = f"{1e6 * taken:,.0f} µs against {1e6 * before:,.0f}; |Δ log p| ≤ {off[0]:.1e}, |Δ H| ≤ {off[1]:.1e}"
        yield Figure(f"one-pass kernel: equal tokens, {rows} rows", float(same.float().mean()), "", 0.98)
        yield Figure(f"one-pass kernel: plain ÷ kernel, time, {rows} rows", before / taken, detail=detail)


def pages(setup: Setup) -> Iterator[Figure]:
    """Attention that reads pages where they lie beside attention that gathers them, in steps over equal caches."""
    shape, rows, context = setup.shape("1.5B"), setup.of(64, 4), setup.of(2048, 37)
    if reason := _no_pages(setup, shape):
        yield unmeasured("pages gathered ÷ read in place, time of a step", reason)
        return
    models = setup.models(shape, context + setup.of(256, 16))
    task = setup.work(models, rows, context, setup.of(160, 12))
    pages = PageTable.fitting(rows, context, rows, 2**30, setup.page, models.device)
    for slot in range(rows):
        assert pages.reserve(slot, context)
    pages.upload()
    runner = ModelRunner(models.policy, pages)
    with decoding(models.policy), cached_attention(models.policy):
        runner.prefill([prompt[:-1] for prompt in task.prompts], list(range(rows)))
        last = torch.tensor([prompt[-1] for prompt in task.prompts], device=models.device)
        read = runner.step(last, torch.full_like(last, context - 1), context).float()
        with plainly(kv_cache):
            gathered = runner.step(last, torch.full_like(last, context - 1), context).float()
    off, greatest = (read - gathered).abs().max(), gathered.abs().max()
    what = f"{rows} rows at {context} tokens, 1.5B"
    yield Figure("pages: largest difference of logits", float(off), detail=f"of up to {greatest:.1f}; {what}")
    del runner, read, gathered
    taken = step_time(setup, task)
    with plainly(kv_cache):
        before = step_time(setup, task)
    detail = f"{1e3 * taken.seconds:.2f} ms against {1e3 * before.seconds:.2f}; {what}"
    yield Figure("pages gathered ÷ read in place, time of a step", before.seconds / taken.seconds, detail=detail)


def numbers(setup: Setup) -> Iterator[Figure]:
    """Log-probabilities and entropies of 10⁴ steps that are no numbers; rows end one by one; four layers of a 1.5B."""
    shape, rows = setup.shape("1.5B"), setup.of(64, 6)
    steps = setup.of(10_000, 40)
    shape = Shape(shape.hidden, min(shape.layers, 4), shape.heads, shape.key_heads, shape.inner)
    task = setup.work(setup.models(shape, 16 + steps), rows, 16, steps)
    task.limits = torch.linspace(steps / 10, steps, rows).long().tolist()
    samples = task.sample(setup.sampler(Coin))
    found = [response_values(values, samples.lengths) for values in (samples.logprobs, samples.entropies)]
    bad = sum(int((~values.isfinite()).sum()) for values in found)
    kernel = _no_pages(setup, shape) or "pages are read where they lie"
    detail = f"of {samples.stats.tokens:,} tokens in {samples.stats.policy_forwards:,} steps; {kernel}"
    yield Figure("NaN or infinite in 10⁴ steps", float(bad), "", 0.0, "at most", detail)
