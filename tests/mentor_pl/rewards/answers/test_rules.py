"""The conventions as a worker is told them."""

from __future__ import annotations

import json

from mentor_pl.rewards.answers.equality import grade_request
from mentor_pl.rewards.answers.rules import Conventions


def test_a_request_is_plain_json_and_carries_every_convention() -> None:
    strict = Conventions(units="require", tolerance=0.5)
    request = json.loads(json.dumps(strict.request("15 cm", "15")))
    assert (request["answer"], request["reference"]) == ("15 cm", "15")
    assert Conventions(**request["conventions"]) == strict
    assert grade_request(request) is False
    assert grade_request(Conventions().request("15 cm", "15")) is True
