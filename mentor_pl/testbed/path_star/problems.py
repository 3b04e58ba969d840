"""The problems of path-star: stars of five arms of three nodes, and a fixed split of them.

There are far too many stars to list, so they are drawn. Which side one is on depends on the star alone, not on the
order of its edges, its goal or a seed, so that the two sides never share a star.
"""

from __future__ import annotations

import random
import zlib
from typing import Final, Literal

from mentor_pl.rewards.path_star import PathStar

ARMS: Final = 5
LENGTH: Final = 3  # nodes of an arm
NODES: Final = tuple(f"n{number:02}" for number in range(1 + ARMS * LENGTH))  # each is in every star

Side = Literal["train", "heldout"]
_HELDOUT: Final = 10  # one star in this many


def draw(rng: random.Random) -> PathStar:
    """A star, its edges in random order, and a goal; on either side."""
    start, *names = rng.sample(NODES, len(NODES))
    arms = [names[first : first + LENGTH] for first in range(0, len(names), LENGTH)]
    edges = [edge for arm in arms for edge in zip([start, *arm], arm, strict=False)]
    rng.shuffle(edges)
    return PathStar(tuple(edges), start, rng.choice(arms)[-1])


def side_of(star: PathStar) -> Side:
    """The side that the star is on for good; a tenth of all are held out."""
    return "train" if zlib.crc32(repr(sorted(star.edges)).encode()) % _HELDOUT else "heldout"


def draw_from(side: Side, rng: random.Random) -> PathStar:
    """A star of one side."""
    while side_of(star := draw(rng)) != side:
        pass
    return star


def problems(side: Side, count: int, seed: int = 0) -> list[PathStar]:
    """`count` problems of a side, no two of which are of one star; the first ones do not depend on `count`."""
    rng, found = random.Random(f"{side} {seed}"), dict[frozenset[tuple[str, str]], PathStar]()
    while len(found) < count:
        star = draw_from(side, rng)
        found.setdefault(frozenset(star.edges), star)
    return list(found.values())
