"""The best answers among the spans that a model scores."""

import numpy as np


class SpanScores:
    """The scores of all spans that can answer a question.

    A span begins in the window that shows most of the text around its first
    token (`token_is_max_context` of the original), so that each is scored
    once. Unlike there, all spans are looked at, not those of the 20 best
    tokens.

    Args:
        windows: list of triples, one a window: the token of the text that it
            begins with, and the logits of start and end of its part of the
            text, `(tokens,)` float each.
        spans: `(tokens of the text, 2)` int, where each token stands, in
            characters.
        null_score: float, the score of no answer: the lowest sum of the two
            logits of `[CLS]` over the windows.
        max_answer_length: int, tokens.
    """

    def __init__(self, windows, spans, null_score, max_answer_length):
        self.spans = spans
        self.null_score = null_score
        self.max_answer_length = max_answer_length
        best = best_windows([(x[0], len(x[1])) for x in windows], len(spans))
        # White space is no answer, nor where one begins or ends.
        has_characters = spans[:, 0] < spans[:, 1]
        scores, self._begins = [], []
        for index, (begin, starts, ends) in enumerate(windows):
            part = slice(begin, begin + len(starts))
            allowed = has_characters[part]
            starts = np.where(allowed & (best[part] == index), starts, -np.inf)
            ends = np.where(allowed, ends, -np.inf)
            ends = np.pad(
                ends, (0, max_answer_length - 1), constant_values=-np.inf
            )
            following = np.lib.stride_tricks.sliding_window_view(
                ends, max_answer_length
            )
            # Row: first token. Column: tokens that follow it.
            scores.append(
                np.add(starts[:, None], following, dtype="float64").reshape(-1)
            )
            self._begins.append(np.arange(begin, begin + len(starts)))
        self.scores = np.concatenate(scores)
        self._begins = np.concatenate(self._begins)

    @property
    def no_answer_score(self):
        """By how much no answer is scored above the best span."""
        return float(self.null_score - self.scores.max())

    def best(self, context, top_k, with_null):
        """The best answers, each text once.

        Args:
            context: string.
            top_k: int, how many at most.
            with_null: bool. Whether no answer shares in the probability.

        Returns:
            list of dictionaries of `"text"`, `"score"`, `"start"` and
            `"end"`, best first, and the probability of no answer.
        """
        highest = self.scores.max()
        if with_null:
            highest = max(highest, self.null_score)
        total = np.exp(self.scores - highest).sum()
        null = np.exp(self.null_score - highest) if with_null else 0.0
        total += null
        order = [int(self.scores.argmax())]
        if top_k > 1:
            order = np.argsort(-self.scores, kind="stable")
        answers = {}
        for index in order:
            if len(answers) == top_k or self.scores[index] == -np.inf:
                break
            first, following = divmod(int(index), self.max_answer_length)
            first = self._begins[first]
            start = int(self.spans[first, 0])
            end = int(self.spans[first + following, 1])
            text = context[start:end]
            if text not in answers:
                score = np.exp(self.scores[index] - highest) / total
                answers[text] = {
                    "text": text,
                    "score": float(score),
                    "start": start,
                    "end": end,
                }
        return list(answers.values()), float(null / total)


def best_windows(parts, tokens):
    """The window that shows most around each token of a text.

    As the original's `_check_is_max_context`: the smaller of what is to the
    left and to the right of the token, and a hundredth of the window's
    length; the first of windows that are as good.

    Args:
        parts: list of pairs, one a window: the token that it begins with,
            and its number of tokens.
        tokens: int, of the text.

    Returns:
        `(tokens,)` int, the index of a window.
    """
    best = np.zeros(tokens, "int64")
    highest = np.full(tokens, -np.inf)
    for index, (begin, length) in enumerate(parts):
        place = np.arange(length)
        score = np.minimum(place, length - 1 - place) + 0.01 * length
        part = slice(begin, begin + length)
        is_better = score > highest[part]
        highest[part][is_better] = score[is_better]
        best[part][is_better] = index
    return best
