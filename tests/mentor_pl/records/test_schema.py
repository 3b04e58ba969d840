"""docs/records.md says what the schema says."""

import re
from pathlib import Path

from mentor_pl.records.schema import ALTERNATIVES, FIELDS, SCHEMA

PAGE = Path(__file__).parents[3] / "docs/records.md"


def test_the_page_has_every_column_in_order_and_in_the_same_words():
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(field.name, field.says) for field in FIELDS if field is not ALTERNATIVES]


def test_columns_have_names_of_their_own():
    assert len(set(SCHEMA.names)) == len(SCHEMA.names)
