"""Questions and texts as overlapping windows that a model can read.

As `convert_examples_to_features` of google-research/albert `squad_utils.py`:
`[CLS] question [SEP] part of the text [SEP]`, the question as segment 0.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass
class TokenizedPairs:
    """Tokenized questions and the texts that they are about.

    Attributes:
        questions: list of `(tokens,)` int32 arrays, one an example, cut to
            what a window allows.
        contexts: list of `(tokens,)` int32 arrays, the different texts.
        spans: list of `(tokens, 2)` int32 arrays: where in its text each
            token stands, in characters.
        context_of: `(examples,)` int, the index of each example's text.
        sequence_length: int, the longest window, in tokens.
        stride: int, how many tokens further the next window begins.
        cut: list of int, the examples whose question was cut.
        cls_token_id: int.
        sep_token_id: int.
        pad_token_id: int.
    """

    questions: list[np.ndarray]
    contexts: list[np.ndarray]
    spans: list[np.ndarray]
    context_of: np.ndarray
    sequence_length: int
    stride: int
    cut: list[int]
    cls_token_id: int
    sep_token_id: int
    pad_token_id: int

    def __len__(self):
        return len(self.questions)

    def windows_of(self, example: int) -> list[tuple[int, int]]:
        """The parts of its text that an example's windows hold.

        Args:
            example: int.

        Returns:
            list of pairs, the first token and the one behind the last.
        """
        tokens = len(self.contexts[self.context_of[example]])
        room = self._room(example)
        step = min(room, self.stride)
        count = 1 + max(0, -(-(tokens - room) // step))
        return [(i * step, min(i * step + room, tokens)) for i in range(count)]

    def _room(self, example):
        return self.sequence_length - len(self.questions[example]) - 3

    def windows(self, examples=None, first_only: bool = False) -> "Windows":
        """The windows of examples, in order.

        Args:
            examples: ints; all by default.
            first_only: bool. Whether only the first window of each is made.
        """
        cls = np.array([self.cls_token_id], "int32")
        sep = np.array([self.sep_token_id], "int32")
        pieces, sizes, rows, begins = [], [], [], []
        for example in range(len(self)) if examples is None else examples:
            question = self.questions[example]
            context = self.contexts[self.context_of[example]]
            parts = [(0, min(self._room(example), len(context)))]
            if not first_only:
                parts = self.windows_of(example)
            for begin, end in parts:
                pieces += [cls, question, sep, context[begin:end], sep]
                sizes += [len(question) + 2, end - begin + 1]
                rows.append(example)
                begins.append(begin)
        lengths = np.array(sizes, "int64").reshape(-1, 2)
        return Windows(
            token_ids=np.concatenate(pieces),
            segment_ids=np.repeat(
                np.tile(np.array([0, 1], "int32"), len(rows)), sizes
            ),
            offsets=np.concatenate([[0], np.cumsum(lengths.sum(axis=1))]),
            example_of=np.array(rows, "int64"),
            begin=np.array(begins, "int64"),
            prefix=lengths[:, 0],
            pad_token_id=self.pad_token_id,
        )

    def targets(self, windows: "Windows", answers) -> dict:
        """Where in each window the answer begins and ends.

        Args:
            windows: of this instance.
            answers: list of pairs, one an example: the first and the last
                token of the answer; `None` where there is none.

        Returns:
            dictionary of `"start_logits"` and `"end_logits"`, `(windows,)`
            int32: positions, 0 (`[CLS]`) in windows that do not hold all of
            the answer.
        """
        spans = np.array(
            [(-1, -1) if span is None else span for span in answers], "int64"
        )[windows.example_of]
        places = spans - windows.begin[:, None]
        tokens = np.diff(windows.offsets) - windows.prefix - 1
        inside = (places[:, 0] >= 0) & (places[:, 1] < tokens)
        positions = np.where(
            inside[:, None], places + windows.prefix[:, None], 0
        ).astype("int32")
        return {
            "start_logits": positions[:, 0],
            "end_logits": positions[:, 1],
        }


@dataclasses.dataclass
class Windows:
    """Packed windows, without padding.

    Attributes:
        token_ids: `(tokens of all windows,)` int32.
        segment_ids: `(tokens of all windows,)` int32.
        offsets: `(windows + 1,)` int64; window `i` has the tokens
            `offsets[i]` to `offsets[i + 1]`.
        example_of: `(windows,)` int, the example that each belongs to.
        begin: `(windows,)` int, the token of the text that each begins with.
        prefix: `(windows,)` int, the tokens before the text's.
        pad_token_id: int.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    offsets: np.ndarray
    example_of: np.ndarray
    begin: np.ndarray
    prefix: np.ndarray
    pad_token_id: int

    def __len__(self):
        return len(self.example_of)

    def features(self, length: int | None = None) -> dict:
        """The model's inputs.

        Args:
            length: int, what they are padded to; the longest window by
                default.

        Returns:
            dictionary of `"token_ids"`, `"segment_ids"` and
            `"padding_mask"`, each `(windows, length)` int32.
        """
        lengths = np.diff(self.offsets)
        length = int(lengths.max(initial=0)) if length is None else length
        mask = np.arange(length) < lengths[:, None]
        token_ids = np.full(mask.shape, self.pad_token_id, "int32")
        token_ids[mask] = self.token_ids
        segment_ids = np.zeros(mask.shape, "int32")
        segment_ids[mask] = self.segment_ids
        return {
            "token_ids": token_ids,
            "segment_ids": segment_ids,
            "padding_mask": mask.astype("int32"),
        }


def token_spans(pairs: TokenizedPairs, answers) -> list:
    """The tokens that answers are made of.

    Args:
        pairs: tokenized examples.
        answers: list of pairs, one an example: a text and where it stands in
            its context, in characters; an empty text where there is none.

    Returns:
        list of what `TokenizedPairs.targets` takes.
    """
    return [
        tokens_of_span(pairs.spans[context], start, start + len(text))
        if text
        else None
        for context, (text, start) in zip(
            pairs.context_of, answers, strict=True
        )
    ]


def tokens_of_span(spans: np.ndarray, start: int, end: int):
    """The tokens that a part of a text is made of.

    Args:
        spans: `(tokens, 2)` int, where each token stands, in characters.
        start: int, the first character.
        end: int, the one behind the last.

    Returns:
        A pair of ints, the first and the last token that share a character
        with the part; `None` if none does.
    """
    first = int(np.searchsorted(spans[:, 1], start, side="right"))
    last = int(np.searchsorted(spans[:, 0], end, side="left")) - 1
    has_characters = np.flatnonzero(
        spans[first : last + 1, 0] < spans[first : last + 1, 1]
    )
    if not len(has_characters):
        return None
    return first + int(has_characters[0]), first + int(has_characters[-1])
