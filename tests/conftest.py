"""What several test files share: tiny model folders (made once per session), toy models, whole runs, statistical tests.

Every fixture that is a tool returns a function, since test files do not import one another.
"""

import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched while testing

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel, WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2TokenizerFast,
    Qwen3Config,
)

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import Models, ModelSource, Vocabulary, load_frozen, load_policy, shared_vocabulary
from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule
from mentor_pl.types import Prompt


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Measured costs are kept beside the tests and not in the user's home."""
    os.environ["MENTOR_CACHE"] = str(tmp_path_factory.mktemp("cache"))


SENTENCES = (
    "we try the walk to the left and then we check it",
    "so the sum of 3 and 4 is 7 and the answer is \\boxed{ 7 }",
    "wait , let us verify the product : 6 \\cdot 8 = 48 .",
    "<think> if x = 2 then x + 5 = 7 </think> find the value of x",
)


def _qwen2_tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level BPE of 320 ids, as Qwen2's: no BOS, and the padding token is the end-of-sequence token."""
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=320,
        initial_alphabet=ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES * 4, trainer)
    trained = json.loads(backend.to_str())["model"]
    # a `Qwen2TokenizerFast`, since AutoTokenizer reads a folder of model type qwen2 as nothing else
    return Qwen2TokenizerFast(vocab=trained["vocab"], merges=[tuple(pair) for pair in trained["merges"]])


def _llama_tokenizer() -> PreTrainedTokenizerBase:
    """One id per word, a BOS in front of every text, and no padding token."""
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    ids = {word: i for i, word in enumerate(["<s>", "</s>", "<unk>", *words])}
    backend = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", ids["<s>"])])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _save(folder: Path, tokenizer: PreTrainedTokenizerBase, config: Any, seed: int) -> Path:
    config.eos_token_id, config.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _sizes(hidden: int, rows: int, **changes: Any) -> dict[str, Any]:
    """A two-layer model whose embedding has so many `rows`, some more than the tokenizer has ids."""
    return {
        "vocab_size": rows,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.25,  # the standard 0.02 makes every distribution nearly uniform
        "tie_word_embeddings": False,
        **changes,
    }


@pytest.fixture(scope="session")
def qwen2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2 of 320 ids and 8 padded rows."""
    return _save(tmp_path_factory.mktemp("models") / "qwen2", _qwen2_tokenizer(), Qwen2Config(**_sizes(32, 328)), 1)


@pytest.fixture(scope="session")
def qwen2_expert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider random Qwen2 with the tokenizer of `qwen2_folder` and 64 padded rows."""
    return _save(tmp_path_factory.mktemp("models") / "expert", _qwen2_tokenizer(), Qwen2Config(**_sizes(48, 384)), 2)


@pytest.fixture(scope="session")
def qwen3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 of 320 ids and 8 padded rows, one key head to all four query heads."""
    config = Qwen3Config(**_sizes(32, 328, num_key_value_heads=1, head_dim=16))
    return _save(tmp_path_factory.mktemp("models") / "qwen3", _qwen2_tokenizer(), config, 5)


@pytest.fixture(scope="session")
def qwen3_expert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider random Qwen3 with the tokenizer of `qwen3_folder` and 64 padded rows."""
    config = Qwen3Config(**_sizes(48, 384, head_dim=16))
    return _save(tmp_path_factory.mktemp("models") / "expert", _qwen2_tokenizer(), config, 6)


@pytest.fixture(scope="session")
def sliding_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2 whose second layer sees the last 6 tokens alone."""
    config = Qwen2Config(**_sizes(32, 328), use_sliding_window=True, sliding_window=6, max_window_layers=1)
    return _save(tmp_path_factory.mktemp("models") / "sliding", _qwen2_tokenizer(), config, 7)


@pytest.fixture(scope="session")
def sliding_expert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider one, whose layers both see the last 9 tokens alone."""
    config = Qwen2Config(**_sizes(48, 384), use_sliding_window=True, sliding_window=9, max_window_layers=0)
    return _save(tmp_path_factory.mktemp("models") / "expert", _qwen2_tokenizer(), config, 8)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with a word-level tokenizer of fewer than 60 ids, padded to 64."""
    return _save(tmp_path_factory.mktemp("models") / "llama", _llama_tokenizer(), LlamaConfig(**_sizes(32, 64)), 3)


@pytest.fixture(scope="session")
def llama_expert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider random Llama with the tokenizer of `llama_folder`, padded to 80."""
    return _save(tmp_path_factory.mktemp("models") / "expert", _llama_tokenizer(), LlamaConfig(**_sizes(48, 80)), 4)


@pytest.fixture(scope="session")
def build_models() -> Callable[..., Models]:
    """(policy folder, expert folder or none, stop_ids=…) -> fresh `Models`, loaded as training loads them."""

    def build(policy: Path, expert: Path | None = None, stop_ids: Sequence[int] | None = None) -> Models:
        ours = ModelSource(str(policy), "policy")
        theirs = ModelSource(str(expert), "expert") if expert else None
        tokenizer, vocabulary = shared_vocabulary(ours, theirs)
        if stop_ids is not None:
            vocabulary = Vocabulary(vocabulary.size, tuple(stop_ids), vocabulary.window)
        return Models(
            load_policy(ours).eval(), load_frozen(theirs, torch.float32) if theirs else None, tokenizer, vocabulary
        )

    return build


class LookupLM(nn.Module):
    """A causal LM that looks its logits up by (position, last token), called as Hugging Face models are.

    Shapes: C positions (the last one serves all later ones), V ids, W ≥ V columns.
    """

    def __init__(self, logits: Tensor) -> None:  # [C, V, W]
        super().__init__()
        self.table = nn.Parameter(logits.clone())

    def forward(self, input_ids: Tensor, position_ids: Tensor, logits_to_keep: int | Tensor, **_: Any) -> Any:
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        places = position_ids.clamp(max=len(self.table) - 1)
        return SimpleNamespace(logits=self.table[places, input_ids][:, kept])


@pytest.fixture(scope="session")
def lookup_models() -> Callable[..., Models]:
    """(policy logits [C, V, W], expert logits or none, stop_ids=…) -> `Models` over the words t0, t1, … and <eos>."""

    def build(policy: Tensor, expert: Tensor | None = None, stop_ids: Sequence[int] | None = None) -> Models:
        size = policy.shape[1]
        ids = {f"t{i}": i for i in range(size - 1)} | {"<eos>": size - 1}
        backend = Tokenizer(WordLevel(ids, unk_token="t0"))
        backend.pre_tokenizer = WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>")
        stops = (size - 1,) if stop_ids is None else tuple(stop_ids)
        return Models(
            LookupLM(policy).eval(),
            None if expert is None else LookupLM(expert).eval(),
            tokenizer,
            Vocabulary(size, stops, 2**31),
        )

    return build


@pytest.fixture(scope="session")
def chi_square() -> Callable[[Tensor, Tensor], float]:
    """(counts [C], probabilities [C]) -> p-value of Pearson's test; cells that expect fewer than 5 are pooled."""

    def p_value(counts: Tensor, probabilities: Tensor) -> float:
        counts, expected = counts.double().flatten(), probabilities.detach().double().flatten() * counts.sum()
        rare = expected < 5
        if rare.any():
            counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
            expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
        impossible = expected == 0
        if counts[impossible].sum() > 0:
            return 0.0
        counts, expected = counts[~impossible], expected[~impossible]
        statistic = ((counts - expected).square() / expected).sum()
        return float(torch.special.gammaincc(torch.tensor((len(counts) - 1) / 2).double(), statistic / 2))

    return p_value


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    """(rows or raw lines, name) -> path of a JSON-lines file that holds them."""

    def write(rows: Iterable[Any], name: str = "problems.jsonl") -> Path:
        path = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    return write


WORDS = ("we", "try", "the", "walk", "check", "sum", "answer")


class CountWord(Reward):
    """A third per `the`, up to 1; the outcome is whether there are three."""

    range = (0.0, 1.0)

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        total = [min(1.0, response.split().count("the") / 3) for response in responses]
        return Grades(total, {"outcome": [float(grade == 1) for grade in total]})


@pytest.fixture
def count_word() -> Reward:
    return CountWord()


@pytest.fixture
def word_problems(write_jsonl: Callable[..., Path]) -> Path:
    """40 problems of three words."""
    problems = [" ".join(WORDS[(i * k + k) % len(WORDS)] for k in (1, 2, 3)) for i in range(40)]
    return write_jsonl([{"problem": problem, "answer": "the"} for problem in problems], "words.jsonl")


@pytest.fixture
def run(tmp_path: Path, llama_folder: Path, llama_expert_folder: Path, word_problems: Path) -> Callable[..., Any]:
    """Options -> namespace of `module`, `data`, `trainer` and `fit`, which trains and returns the weights."""

    def build(
        *,
        steps: int = 3,
        algorithm: Algorithm | None = None,
        callbacks: Sequence[L.Callback] = (),
        module_options: dict[str, Any] | None = None,
        data_options: dict[str, Any] | None = None,
        trainer_options: dict[str, Any] | None = None,
    ) -> Any:
        L.seed_everything(7, verbose=False)
        module = MentorModule(
            **{
                "policy": str(llama_folder),
                "expert": str(llama_expert_folder),
                "algorithm": algorithm,
                "optimizer": lambda params: torch.optim.AdamW(params, lr=1e-2),
                **(module_options or {}),
            }
        )
        data = RolloutDataModule(
            **{
                "train": str(word_problems),
                "steps": steps,
                "prompts_per_step": 4,
                "sampling": SamplingParams(max_new_tokens=8),
                "reward": CountWord(),
                "system_prompt": None,
                "max_prompt_tokens": 8,
                "seed": 3,
                **(data_options or {}),
            }
        )
        trainer = L.Trainer(
            **{
                "accelerator": "cpu",
                "devices": 1,
                "max_epochs": 1,
                "logger": CSVLogger(tmp_path, name="run"),
                "log_every_n_steps": 1,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "enable_checkpointing": False,
                "callbacks": list(callbacks),
                **(trainer_options or {}),
            }
        )

        def fit(**options: Any) -> dict[str, torch.Tensor]:
            trainer.fit(module, data, **options)
            return {name: value.detach().clone() for name, value in module.policy.state_dict().items()}

        return SimpleNamespace(module=module, data=data, trainer=trainer, fit=fit)

    return build


@pytest.fixture
def equal_weights() -> Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], bool]:
    """Whether two state dicts are equal bit for bit."""
    return lambda a, b: a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
