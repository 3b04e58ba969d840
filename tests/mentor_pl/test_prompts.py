"""Problems become prompts, and a file that cannot is named with its line."""

import pytest
from transformers import AutoTokenizer

from mentor_pl.errors import UsageError
from mentor_pl.prompts import PAPER_SYSTEM_PROMPT, load_prompts, read_rows, render

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


def error_of(path):
    with pytest.raises(UsageError) as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_are_read_in_order_and_blank_lines_are_skipped(write_jsonl):
    path = write_jsonl([GOOD, "", "   ", {**GOOD, "problem": "find y", "level": 3}])
    assert read_rows(path) == [GOOD, {**GOOD, "problem": "find y", "level": 3}]


def test_a_missing_file_is_named(tmp_path):
    assert f"{tmp_path / 'nowhere.jsonl'}: no such file" in error_of(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("lines", [[], ["", "  "]], ids=["no bytes", "blank lines"])
def test_an_empty_file_is_named(lines, write_jsonl):
    path = write_jsonl(lines)
    assert f"{path}: no rows" in error_of(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"problem": "a", "answer": }', "not JSON"),
        ('{"problem": "a"', "not JSON"),
        ("[1, 2]", "a list, but every line is an object"),
        ('"text"', "a str"),
        ('{"problem": "a"}', "field 'answer' is missing"),
        ('{"answer": "a"}', "field 'problem' is missing"),
        ('{"problem": "a", "answer": 7}', "field 'answer' is 7"),
        ('{"problem": null, "answer": "7"}', "field 'problem' is None"),
    ],
)
def test_a_malformed_row_is_named_with_file_and_line(line, reason, write_jsonl):
    path = write_jsonl([GOOD, "", line, GOOD])
    message = error_of(path)
    assert message.startswith(f"{path}:3: ")  # blank lines count
    assert reason in message


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"], ids=["U+2028", "U+2029", "U+0085"])
def test_line_marks_of_unicode_inside_a_string_end_no_row(mark, write_jsonl):
    # JSON allows them in strings as they are, and `json.dumps(…, ensure_ascii=False)` writes them so
    row = {"problem": f"find x{mark}and y", "answer": "7"}
    assert read_rows(write_jsonl([row, GOOD])) == [row, GOOD]


def test_bytes_that_are_not_utf_8_are_a_usage_error(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"problem": "a", "answer": "7"}\n{"problem": "caf\xe9", "answer": "7"}\n')
    assert str(path) in error_of(path)


def test_without_a_template_system_prompt_and_problem_are_paragraphs(qwen2):
    ids, opened = render(qwen2, "find x", "check it")
    assert qwen2.decode(ids) == "check it\n\nfind x\n"
    assert qwen2.decode(render(qwen2, "find x", None)[0]) == "find x"
    assert opened == ""


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
    ("end", "opened"),
    [("<think>", "<think>"), ("<think>\n", "<think>\n"), ("<think> go", ""), ("</think>", ""), ("", "")],
    ids=repr,
)
def test_a_response_that_the_template_opened_is_known(end, opened, qwen2):
    qwen2.chat_template = "{{ messages[-1]['content'] }} :" + end.replace("\n", "{{ '\n' }}")
    ids, got = render(qwen2, "find x", None)
    assert got == opened
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


def test_only_prompts_over_the_limit_is_a_usage_error_that_names_the_least_limit(write_jsonl, llama):
    path = write_jsonl([{**GOOD, "problem": text} for text in ("find the sum", "find the value of x")])
    with pytest.raises(
        UsageError, match=r"all 2 prompts are longer than max_prompt_tokens = 2; the shortest has 4 tok"
    ):
        load_prompts(path, llama, None, 2)


def test_a_problem_without_tokens_is_a_usage_error(write_jsonl, qwen2):
    path = write_jsonl([GOOD, {**GOOD, "problem": ""}])
    with pytest.raises(UsageError, match=r"problem 1 .* has no tokens"):
        load_prompts(path, qwen2, None, 5)


def test_the_papers_system_prompt_is_verbatim():
    assert PAPER_SYSTEM_PROMPT == (
        "You are a helpful AI Assistant that provides well-reasoned and detailed responses. You FIRST think about the "
        "reasoning process as an internal monologue and then provide the final answer. The reasoning process MUST BE "
        "enclosed within <think></think> tags. The final answer MUST BE put in \\boxed{}."
    )
