"""math-verify by itself on a pair of answer and reference, to compare with; a task of the worker pool."""

from __future__ import annotations

import logging
from typing import Any


def grade_request(item: dict[str, Any]) -> bool:
    """Whether math-verify, with its defaults, takes the answer for the reference."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    texts = [text if "\\boxed" in text or "$" in text else f"${text}$" for text in (item["reference"], item["answer"])]
    gold, answer = (parse(text, parsing_timeout=None) for text in texts)
    return bool(verify(gold, answer, timeout_seconds=None))
