"""Problems become the prompts that the models see."""

import pytest
from transformers import AutoTokenizer

from mentor_pl.problems.prompts import PAPER_SYSTEM_PROMPT, LoadedPrompts, load_prompts, render, with_traces
from mentor_pl.problems.selection import Selection
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt

GOOD = {"problem": "find x", "answer": "7"}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} "
    "{% endfor %}{% if add_generation_prompt %}assistant :{% endif %}"
)


@pytest.fixture
def qwen2(qwen2_folder):
    return AutoTokenizer.from_pretrained(qwen2_folder)


@pytest.fixture
def llama(llama_folder):
    return AutoTokenizer.from_pretrained(llama_folder)


def test_without_a_chat_template_a_plain_one_asks_for_the_response(qwen2):
    ids, response_prefix = render(qwen2, "find x", "check it")
    assert qwen2.decode(ids) == "check it\n\nUser: find x\n\nAssistant:\n"
    assert qwen2.decode(render(qwen2, "find x", None)[0]) == "find x"
    assert response_prefix == ""


def test_a_template_of_ones_own_goes_before_the_chat_template_and_leaves_other_braces_alone(qwen2):
    qwen2.chat_template = "never"
    template = "{system} | {problem} | put it in \\boxed{}: <think>\n"
    ids, response_prefix = render(qwen2, "find {system} in {x}", "we try {problem}", template)
    assert qwen2.decode(ids) == "we try {problem} | find {system} in {x} | put it in \\boxed{}: <think>\n"
    assert response_prefix == "<think>\n"
    assert qwen2.decode(render(qwen2, "x", None, "{system}\n\nQ: {problem}")[0]) == "Q: x"


def test_a_template_that_writes_bos_itself_does_not_get_a_second_one(llama):
    assert llama.convert_ids_to_tokens(render(llama, "find x", None, "<s> {problem}")[0]) == ["<s>", "find", "x"]
    assert llama.convert_ids_to_tokens(render(llama, "find x", None, "{problem}")[0]) == ["<s>", "find", "x"]
    assert llama.convert_ids_to_tokens(render(llama, "<s> find x", None)[0]) == ["<s>", "find", "x"]


def test_a_template_without_the_problem_is_refused(write_jsonl, llama):
    with pytest.raises(UsageError, match=r"template 'Q: \{question\}' has no \{problem\}"):
        load_prompts(write_jsonl([GOOD]), llama, None, 9, template="Q: {question}")


def test_without_a_template_the_tokenizers_own_bos_stands_once_in_front(llama):
    ids, _ = render(llama, "find the value", None)
    assert llama.convert_ids_to_tokens(ids) == ["<s>", "find", "the", "value"]


def test_a_template_is_used_and_its_bos_is_not_doubled(llama):
    llama.chat_template = TEMPLATE
    ids, _ = render(llama, "find x", "we check")
    assert ids.count(llama.bos_token_id) == 1
    text = "<s>system : we check user : find x assistant :"
    assert ids == llama(text, add_special_tokens=False)["input_ids"]


def test_without_a_system_prompt_the_template_gets_the_problem_alone(llama):
    llama.chat_template = "{{ messages | length }} {{ messages[0]['role'] }}"
    assert render(llama, "x", None)[0] == llama("1 user", add_special_tokens=False)["input_ids"]
    assert render(llama, "x", "s")[0] == llama("2 system", add_special_tokens=False)["input_ids"]


def test_a_template_that_refuses_the_system_prompt_is_one_line(write_jsonl, llama):
    llama.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ messages[-1]['content'] }}"
    )
    path = write_jsonl([GOOD])
    assert len(load_prompts(path, llama, None, 9).prompts) == 1
    with pytest.raises(UsageError, match="System role not supported") as caught:
        load_prompts(path, llama, "we check", 9)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("end", "response_prefix"),
    [("<think>", "<think>"), ("<think>\n", "<think>\n"), ("<think> go", ""), ("</think>", ""), ("", "")],
    ids=repr,
)
def test_a_response_that_the_template_has_begun_is_known(end, response_prefix, qwen2):
    qwen2.chat_template = "{{ messages[-1]['content'] }} :" + end.replace("\n", "{{ '\n' }}")
    ids, got = render(qwen2, "find x", None)
    assert got == response_prefix
    assert qwen2.decode(ids) == f"find x :{end}"


def test_prompts_carry_the_rows_place_and_its_other_columns(write_jsonl, llama):
    path = write_jsonl([GOOD, {"problem": "find the sum", "answer": "3", "level": 4, "source": "test"}])
    loaded = load_prompts(path, llama, None, 10)
    first, second = loaded.prompts
    assert (first.index, second.index) == (0, 1)
    assert (second.problem, second.answer, dict(second.metadata)) == (
        "find the sum",
        "3",
        {"level": 4, "source": "test"},
    )
    assert second.token_ids == tuple(llama("find the sum")["input_ids"])
    assert loaded.too_long == 0


def test_prompts_over_the_limit_are_left_out_and_counted_and_the_others_keep_their_place(write_jsonl, llama):
    # with BOS: 3, 6, 4 and 5 tokens
    rows = [{**GOOD, "problem": text} for text in ("find x", "we try the walk to", "find the sum", "find the sum of")]
    loaded = load_prompts(write_jsonl(rows), llama, None, 4)
    assert [prompt.index for prompt in loaded.prompts] == [0, 2]
    assert loaded.too_long == 2


def test_the_system_prompt_counts_towards_the_limit(write_jsonl, llama):
    path = write_jsonl([GOOD])
    assert len(load_prompts(path, llama, None, 3).prompts) == 1
    with pytest.raises(UsageError):
        load_prompts(path, llama, "we check", 3)


def test_short_prompts_are_left_out_and_counted(write_jsonl, llama):
    # with BOS: 3, 4 and 6 tokens
    path = write_jsonl([{**GOOD, "problem": text} for text in ("find x", "find the sum", "we try the walk to")])
    loaded = load_prompts(path, llama, None, 5, min_prompt_tokens=4)
    assert [prompt.index for prompt in loaded.prompts] == [1]
    assert loaded.filter_report.counts == {"too short": 1, "too long": 1}
    with pytest.raises(UsageError, match=r"min_prompt_tokens = 5 to max_prompt_tokens = 5 tokens; they have 3 to 6"):
        load_prompts(path, llama, None, 5, min_prompt_tokens=5)


def test_prompts_carry_demonstrations_and_the_levels_kept_are_counted(write_jsonl, llama):
    rows = [{**GOOD, "level": level, "demonstrations": ["we check", "we try"]} for level in (1, 2, 2)]
    loaded = load_prompts(write_jsonl(rows), llama, None, 9, select=Selection(levels=[2]))
    assert [prompt.demonstrations for prompt in loaded.prompts] == [("we check", "we try")] * 2
    assert "demonstrations" not in loaded.prompts[0].metadata
    assert loaded.filter_report.levels == {2: 2}


def test_only_prompts_over_the_limit_is_a_usage_error_that_names_the_smallest_limit(write_jsonl, llama):
    path = write_jsonl([{**GOOD, "problem": text} for text in ("find the sum", "find the value of x")])
    with pytest.raises(
        UsageError, match=r"all 2 prompts are longer than max_prompt_tokens = 2; the shortest has 4 tok"
    ):
        load_prompts(path, llama, None, 2)


def test_a_problem_without_tokens_is_a_usage_error(write_jsonl, qwen2):
    path = write_jsonl([GOOD, {**GOOD, "problem": "\n"}])
    with pytest.raises(UsageError, match="field 'problem' is '\\\\n', but every row needs a text"):
        load_prompts(path, qwen2, None, 5)
    qwen2.chat_template = "{{ messages[0]['content'] if 'x' in messages[0]['content'] else '' }}"
    with pytest.raises(UsageError, match=r"problem 1 .* has no tokens"):
        load_prompts(write_jsonl([GOOD, {**GOOD, "problem": "y"}]), qwen2, None, 5)


def test_the_papers_system_prompt_is_verbatim():
    assert PAPER_SYSTEM_PROMPT == (
        "You are a helpful AI Assistant that provides well-reasoned and detailed responses. You FIRST think about the "
        "reasoning process as an internal monologue and then provide the final answer. The reasoning process MUST BE "
        "enclosed within <think></think> tags. The final answer MUST BE put in \\boxed{}."
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ [].append.__self__.x.y }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_reaches_out_or_raises_is_one_line(template, qwen2):
    qwen2.chat_template = template
    with pytest.raises(UsageError, match="the tokenizer's chat template fails"):
        render(qwen2, "1 + 1", None, None)


def traced(tokenizer, *demonstrations, response_prefix="", max_tokens=9, required=False):
    """The traces of problems with these demonstrations each, decoded; the stop token is id 9."""
    prompts = [Prompt(i, "p", "a", (1,), response_prefix, {}, texts) for i, texts in enumerate(demonstrations)]
    loaded = with_traces(LoadedPrompts(prompts), tokenizer, 9, max_tokens, required)
    assert all(trace[-1] == 9 for prompt in loaded.prompts for trace in prompt.traces)
    return {prompt.index: [tokenizer.decode(trace[:-1]) for trace in prompt.traces] for prompt in loaded.prompts}


def test_traces_are_response_tokens_without_bos_and_end_with_the_stop_token(llama):
    assert traced(llama, (" we check ", "try the walk")) == {0: ["we check", "try the walk"]}


def test_a_trace_over_the_limit_is_none_whatever_it_says_and_one_at_the_limit_stands(llama):
    # with the stop token: 3, 4 and 5 tokens
    assert traced(llama, ("we check", "we check it", "we check it then"), max_tokens=4) == {
        0: ["we check", "we check it"]
    }


@pytest.mark.parametrize("written", ["<think>", "<think>\n"])
@pytest.mark.parametrize("trace", ["<think> if x", "<think>\n if x", "<think>if x", "if x"])
def test_what_the_template_has_written_is_no_part_of_a_trace(qwen2, written, trace):
    assert traced(qwen2, (trace,), response_prefix=written)[0][0].strip() == "if x"


def test_problems_without_a_trace_stay_unless_the_method_can_do_nothing_without(llama, capsys, caplog):
    some = ((), ("we check",), ("",), ("we check it then",))
    assert traced(llama, *some, max_tokens=4) == {0: [], 1: ["we check"], 2: [], 3: []}
    assert traced(llama, *some, max_tokens=4, required=True) == {1: ["we check"]}
    with caplog.at_level("INFO", "lightning.pytorch"):
        traced(llama, *some, max_tokens=2)
    assert "name their column in data.select.columns.demonstrations" in caplog.text
    with pytest.raises(UsageError, match=r"no problem has one of at most 2 tokens.*columns\.demonstrations"):
        traced(llama, *some, max_tokens=2, required=True)
    assert traced(llama, *some, max_tokens=2) == {0: [], 1: [], 2: [], 3: []}
