"""Which ids policy and expert share, what ends a response, and which experts have ids of their own."""

import json
import re

import pytest
from folder_copies import copied, refusal, source
from transformers import AutoTokenizer

from mentor_pl.models.text_expert import text_expert
from mentor_pl.models.vocabulary import shared_vocabulary
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_the_vocabulary_is_the_tokenizers_and_not_the_embeddings(family, request):
    policy, expert = (request.getfixturevalue(name) for name in (f"{family}_folder", f"{family}_expert_folder"))
    tokenizer, vocabulary = shared_vocabulary(source(policy), source(expert, "expert"))
    embedded = [json.loads((folder / "config.json").read_text())["vocab_size"] for folder in (policy, expert)]
    assert vocabulary.size == len(tokenizer) < min(embedded)
    assert embedded[0] != embedded[1]
    assert vocabulary.stop_ids == (tokenizer.eos_token_id,)
    assert tokenizer("find the value of x")["input_ids"]


def test_a_tokenizer_whose_padding_token_is_its_end_token_is_fine(qwen2_folder):
    tokenizer, vocabulary = shared_vocabulary(source(qwen2_folder), None)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == vocabulary.stop_ids[0]


def test_both_models_stop_tokens_end_a_response_and_padding_ids_do_not(qwen2_folder, qwen2_expert_folder, tmp_path):
    policy = copied(qwen2_folder, tmp_path / "policy", {"eos_token_id": [5, 325]})  # 325 is a padded row
    (policy / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 9]}))
    expert = copied(qwen2_expert_folder, tmp_path / "expert", {"eos_token_id": 7}, drop=["generation_config.json"])
    assert shared_vocabulary(source(policy), source(expert, "expert"))[1].stop_ids == (0, 5, 7, 9)


def test_stop_tokens_that_are_named_are_all_there_are_with_and_without_an_expert(qwen2_folder, qwen2_expert_folder):
    names = ["<|endoftext|>", "!"]
    ours, theirs = source(qwen2_folder), source(qwen2_expert_folder, "expert")
    tokenizer, alone = shared_vocabulary(ours, None, names)
    assert alone.stop_ids == tuple(sorted(tokenizer.convert_tokens_to_ids(names)))
    assert len(alone.stop_ids) == 2
    assert shared_vocabulary(ours, theirs, names)[1].stop_ids == alone.stop_ids


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["<|endoftext|>", "<|im_end|>"], "has '<|im_end|>', which is no token of the policy"),
        (["!"], "is ['!'], without '<|endoftext|>', which ends a text by the policy's tokenizer"),
        ([], "is [], without '<|endoftext|>'"),
    ],
)
def test_stop_tokens_that_are_none_or_leave_out_the_policys_own_are_one_line(names, reason, qwen2_folder):
    with pytest.raises(UsageError, match=re.escape(f"model.stop_tokens {reason}")) as caught:
        shared_vocabulary(source(qwen2_folder), None, names)
    assert "\n" not in str(caught.value)


def test_the_window_is_the_smaller_models(qwen2_folder, qwen2_expert_folder, tmp_path):
    expert = copied(qwen2_expert_folder, tmp_path / "expert", {"max_position_embeddings": 100})
    assert shared_vocabulary(source(qwen2_folder), source(expert, "expert"))[1].window == 100
    assert shared_vocabulary(source(qwen2_folder), None)[1].window == 512


def test_an_expert_of_another_family_is_refused_by_the_first_id_that_differs(qwen2_folder, llama_folder):
    message = refusal(qwen2_folder, llama_folder)
    assert "another vocabulary" in message
    assert "id 0 is '<|endoftext|>' to the policy and '<s>' to the expert" in message


def test_two_swapped_ids_are_enough_to_refuse_an_expert(llama_folder, llama_expert_folder, tmp_path):
    expert = copied(llama_expert_folder, tmp_path / "expert")
    path = expert / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    words = tokenizer["model"]["vocab"]
    words["sum"], words["walk"] = words["walk"], words["sum"]
    path.write_text(json.dumps(tokenizer))
    first = min(words["sum"], words["walk"])
    assert f"id {first} is " in refusal(llama_folder, expert)


def with_tokens(folder, target, special, *tokens):
    """A copy of a model folder whose tokenizer has more tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens), special_tokens=special)
    tokenizer.save_pretrained(copied(folder, target))
    return target


def test_an_expert_that_says_tokens_which_the_policy_lacks_has_ids_of_its_own(qwen2_folder, tmp_path):
    """Cut to the policy's ids, what it says would be something else: the words of its phrases, its mark of thinking."""
    expert = source(with_tokens(qwen2_folder, tmp_path / "expert", False, "<think>", "the answer"), "expert")
    found = text_expert(source(qwen2_folder), expert)
    assert found is not None
    assert f"expert '{expert.path}' has 2 tokens that policy '{qwen2_folder}' lacks, such as '<think>' (id 320)" in str(
        found.difference
    )
    assert "such as '<think>' (id 320), but equal ids are needed here" in refusal(qwen2_folder, expert.path)


def test_special_tokens_that_no_response_holds_may_be_more_unless_one_ends_it(qwen2_folder, tmp_path):
    policy, special = (
        source(qwen2_folder),
        with_tokens(qwen2_folder, tmp_path / "expert", True, "<|fim|>", "<|im_end|>"),
    )
    assert text_expert(policy, source(special, "expert")) is None
    ended = copied(special, tmp_path / "ended")
    (ended / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 321]}))
    found = text_expert(policy, source(ended, "expert"))
    assert found is not None
    assert "has a token that" in found.difference
    assert "such as '<|im_end|>' (id 321)" in found.difference
