"""Settling drafts by what an expert of another family says: a draw of its text, read as a token of the policy.

At a guided place the expert reads the text so far, its prompt by its own template, and goes on by its own tokens until
the policy's tokenisation of what it says has a first token that no further text can change (`first_token`). That token
stands. π̃*(y) is the probability that y comes out: a distribution over the policy's ids, so that

    π_mix = (1 − w) π_θ + w π̃*

is drawn from exactly. What π̃*(y) is remains unknown, so a draft cannot be accepted with π̃*(y) / π_θ(y): a guided one
is replaced whenever the draw differs. The law in full:

- The expert reads the tokens that its tokenizer makes of the text, which need not be those that it would have said.
  With `heal` it leaves out the last of them, and says that one's text again (`healing.py`).
- Its end of turn is the policy's stop token. Its other special tokens are no text.
- It says `MOST_SAID` tokens at most, or as many as its window holds; what it has said then is taken as whole.
- Where the policy's tokens end inside a character, where the expert has said no text, and where its window is full, the
  place is not the expert's: the draft stands.

Draws are keyed by rollout, place and number of the draw. The rows of a call speak side by side: one forward lets each
of them say a token.

Shapes: B rows that take part, V ids of the policy, W of the expert.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mentor_pl.decoding.distribution import draw, log_distribution
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.settling import CallResult, Settling
from mentor_pl.decoding.engine.slots import Slots
from mentor_pl.decoding.text.healing import Healing
from mentor_pl.decoding.text.reader import Read, Reader
from mentor_pl.decoding.text.saying import MOST_SAID, first_said
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.models.text_tokenizer import CUT_OFF, TextTokenizer
from mentor_pl.runtime.noise import DRAFT, exponential, keys_within
from mentor_pl.types import ExpertPrompt


@dataclass
class Speech:
    """What the expert says at a place.

    Attributes:
        row: of the B, whose rollout is `rollout`.
        place: in its response.
        heard: tokens that the expert has read.
        covered: text that it says again, where it heals.
        said: its tokens since.
    """

    row: int
    rollout: int
    place: int
    read: Read
    heard: list[int]
    covered: str
    said: list[int]


class TextVerifier(Settling):
    """An expert that speaks text, beside the drafts.

    Args:
        drafts: what it settles.
        guidance: a blend whose guided places the policy alone tells.
        reader: the expert and its cache.
        expert: its tokenizer, stop ids and window.
        policy: the policy's tokenizer.
        stop_id: the policy's token for the expert's end of turn.
        prompts: [N] the last tokens of the policy's prompts at least.
        expert_prompts: [N] what the expert reads in their place.
        heal: whether it goes back before its last token.
    """

    def __init__(
        self,
        drafts: Drafts,
        guidance: Guidance,
        reader: Reader,
        expert: TextExpert,
        policy: TextTokenizer,
        stop_id: int,
        prompts: Sequence[Sequence[int]],
        expert_prompts: Sequence[ExpertPrompt],
        heal: bool = False,
    ) -> None:
        super().__init__(drafts, guidance)
        self.reader, self.vocabulary, self.policy, self.stop_id = reader, expert.vocabulary, policy, stop_id
        self.prompts, self.expert_prompts = prompts, expert_prompts
        self.healing = Healing(reader.tokenizer, reader.runner.device) if heal else None
        self.known: dict[int, tuple[int, str]] = {}  # rollout -> tokens of it that are whole characters, and their text

    def forget(self, rollouts: Sequence[int]) -> None:
        self.reader.forget(rollouts)
        for rollout in rollouts:
            self.known.pop(rollout, None)

    def __call__(self, table: Slots) -> CallResult:
        slots = (table.pending[: table.used] > 0).nonzero().squeeze(1)  # [B]
        owner, place = self.pending_drafts(table, slots)
        rollouts: list[int] = table.rollout[slots].tolist()
        # on the host at once: nothing of it changes before all have spoken
        context = self.drafts.buffers.context[table.rollout[slots].to(self.drafts.token.device)].cpu()
        waiting = [deque(place[owner == row].tolist()) for row in range(len(slots))]
        replaced: dict[int, tuple[int, int]] = {}  # row -> place and token
        unsaid: list[tuple[int, int]] = []  # rollout and place that turned out not to be the expert's
        speeches: dict[int, Speech] = {}
        talking: set[int] = set()  # rollouts
        calls, asked, tokens = 0, 0, self.reader.tokens
        while any(waiting) or speeches:
            for row, rollout in enumerate(rollouts):
                while waiting[row] and row not in speeches:
                    speech = self._begin(row, rollout, waiting[row][0], context[row])
                    if speech is not None and not self._reserve(speech, talking):
                        break  # until others have said what they say
                    here = waiting[row].popleft()
                    if speech is None:
                        unsaid.append((rollout, here))
                        continue
                    speeches[row] = speech
                    talking.add(rollout)
                    asked += 1
            if speeches:
                calls += 1
            for row, token in self._say(list(speeches.values())).items():
                speech = speeches.pop(row)
                talking.remove(speech.rollout)
                if token is None:
                    unsaid.append((speech.rollout, speech.place))
                elif token != int(context[row, speech.place + 1]):
                    replaced[row] = (speech.place, token)
                    waiting[row].clear()
        if unsaid:
            unmarked = tuple(zip(*unsaid, strict=True))
            self.drafts.buffers.guided[unmarked], self.drafts.buffers.weights[unmarked] = False, 0.0
        rows = torch.tensor(sorted(replaced), dtype=torch.int64)
        changed = torch.tensor([replaced[row] for row in sorted(replaced)], dtype=torch.int64).view(-1, 2)
        return CallResult(
            calls=calls,
            rows=len(slots),
            tokens=self.reader.tokens - tokens,
            scored_positions=asked,
            replaced=len(rows),
            rolled_back=self.settled(
                table, slots, slots[rows], changed[:, 0] + 1, changed[:, 1], self._logprobs(slots[rows], changed)
            ),
            padding=0,
        )

    def _begin(self, row: int, rollout: int, place: int, context: Tensor) -> Speech | None:
        """What the expert reads at a place; None, and the place is not the expert's, where it cannot speak.

        Args:
            context: [T + 1] what is fed to the policy, on the host: the prompt's last token, then the response.
        """
        prompt = self.expert_prompts[rollout]
        text = self._text(rollout, context[1 : place + 1].tolist())
        if text is not None:
            read = self.reader.read(rollout, prompt.ids)
            heard, covered = [*prompt.ids, *read.text.tokenised(prompt.text + text)], ""
            if self.healing is not None and len(heard) > len(prompt.ids):
                heard, covered = self.healing.gone_back(heard)
            if len(heard) < self.vocabulary.window:
                return Speech(row, rollout, place, read, heard, covered, [])
        return None

    def _text(self, rollout: int, ids: Sequence[int]) -> str | None:
        """The text of a rollout's first tokens `ids`; None where they end inside a character."""
        begin, text = self.known.get(rollout, (0, ""))
        text += self.policy.text(ids[begin:], [*self.prompts[rollout], *ids[:begin]])
        if text.endswith(CUT_OFF):
            return None
        if ids and ids[-1] not in self.policy.bytes:  # a character of bytes is told with those beside it
            self.known[rollout] = len(ids), text
        return text

    def _reserve(self, speech: Speech, talking: Container[int]) -> bool:
        """See that there are pages for what a row hears and may say; False where others must be done first."""
        places = min(len(speech.heard) + MOST_SAID, self.vocabulary.window)
        return self.reader.reserve(speech.read, places, talking)

    def _say(self, speeches: Sequence[Speech]) -> dict[int, int | None]:
        """Let every row say a token; what those come to that are done: a token of the policy, or nothing."""
        if not speeches:
            return {}
        drafts, device = self.drafts, self.reader.runner.device
        logits = self.reader.feed([one.read for one in speeches], [one.heard + one.said for one in speeches])
        allowed = self._allowed(speeches)
        if allowed is not None:
            logits[:, : self.vocabulary.size] = logits[:, : self.vocabulary.size].masked_fill(~allowed, -torch.inf)
        p = log_distribution(logits, drafts.sampling, self.vocabulary.size).exp()  # [B, W]
        columns = [[one.rollout, one.place, len(one.said)] for one in speeches]
        rollouts, places, numbers = torch.tensor(columns, device=device).unbind(1)
        keys = keys_within(drafts.keys[rollouts], places)
        ids = draw(p, exponential(keys, numbers, DRAFT, self.vocabulary.size)).tolist()
        done: dict[int, int | None] = {}
        for speech, token in zip(speeches, ids, strict=True):
            stops = token in self.vocabulary.stop_ids
            if not stops:
                speech.said.append(token)
            whole = stops or len(speech.said) == MOST_SAID
            whole = whole or len(speech.heard) + len(speech.said) >= self.vocabulary.window
            first = first_said(self.policy, self.reader.tokenizer, speech.heard, speech.said, speech.covered, whole)
            if first is not None or whole:
                done[speech.row] = self.stop_id if first is None and stops else first
        return done

    def _allowed(self, speeches: Sequence[Speech]) -> Tensor | None:
        """The tokens that each row may say, [B, W] bool; None where all may say any."""
        if self.healing is None:
            return None
        told = [self.reader.tokenizer.text(one.said, one.heard, special=False) for one in speeches]
        rest = [one.covered[len(text) :] for one, text in zip(speeches, told, strict=True)]
        return torch.stack([self.healing.allowed(text) for text in rest])

    def _logprobs(self, slots: Tensor, changed: Tensor) -> Tensor:
        """log π_θ of the tokens (place, id) [b, 2] that stand in `slots` [b]."""
        places, ids = changed.to(self.drafts.token.device).unbind(1)
        if not len(slots):
            return ids.float()
        logits = self.drafts.logits_at(slots.to(ids.device), places)
        return log_distribution(logits, self.drafts.sampling, self.drafts.size).gather(1, ids[:, None])[:, 0]
