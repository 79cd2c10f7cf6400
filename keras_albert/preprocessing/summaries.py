"""Which sentences make a summary: of those that know one, and of scores."""

import itertools
from collections import Counter

from keras_albert.preprocessing.word_splitting import split_words


def summary_words(text):
    """The words that summaries are compared by: lower case, no punctuation.

    Args:
        text: string.

    Returns:
        list of strings. In scripts without spaces each character is one.
    """
    words = (text[start:end].lower() for start, end in split_words(text))
    return [word for word in words if any(map(str.isalnum, word))]


def oracle_labels(sentences, references, most=None):
    """The sentences of a document that are most like its summary, greedily.

    As BERTSUM makes its labels (Liu and Lapata 2019,
    https://arxiv.org/abs/1908.08345, section 3.2; `greedy_selection` in their
    `data_builder.py`): the sentence is added that raises ROUGE-1 plus
    ROUGE-2 (F1) most, until none does. Of equal ones it is the first.

    Args:
        sentences: list of strings.
        references: a string, or a list of strings where there are several
            summaries; the one that is nearest counts.
        most: int, the sentences that are chosen at most; `None`: any number.

    Returns:
        list of int, 1 for sentences that are chosen. All are 0 when no
        sentence shares a word with a summary.
    """
    if isinstance(references, str):
        references = [references]
    targets = [_grams(text) for text in references]
    candidates = [_grams(text) for text in sentences]
    labels = [0] * len(sentences)
    chosen = [Counter(), Counter()]
    best = 0.0
    for _ in range(len(sentences) if most is None else most):
        scores = [
            max((_score(chosen, grams, x) for x in targets), default=0.0)
            if not label
            else 0.0
            for grams, label in zip(candidates, labels, strict=True)
        ]
        if not scores or max(scores) <= best:
            break
        best = max(scores)
        index = scores.index(best)
        labels[index] = 1
        chosen = [
            all_of + own
            for all_of, own in zip(chosen, candidates[index], strict=True)
        ]
    return labels


def _grams(text):
    words = summary_words(text)
    return [Counter(words), Counter(itertools.pairwise(words))]


def _score(chosen, added, target):
    """ROUGE-1 plus ROUGE-2 of what is chosen and a sentence more."""
    total = 0.0
    for have, own, wanted in zip(chosen, added, target, strict=True):
        size = have.total() + own.total() + wanted.total()
        shared = sum(
            min(count, have[gram] + own[gram]) for gram, count in wanted.items()
        )
        total += 2.0 * shared / size if size else 0.0
    return total


def select_sentences(sentences, scores, number, trigram_blocking=True):
    """The sentences with the highest scores that do not repeat each other.

    With trigram blocking (Paulus et al. 2017, https://arxiv.org/abs/
    1705.04304; BERTSUM) a sentence is left out that shares three words in a
    row with one that was taken before.

    Args:
        sentences: list of strings.
        scores: sequence of as many floats. Of equal ones the first counts.
        number: int, how many are wanted.
        trigram_blocking: bool.

    Returns:
        list of int, the indices of at most `number` sentences, ascending;
        fewer where there are fewer, or those left would repeat others.
    """
    order = sorted(range(len(sentences)), key=lambda i: -scores[i])
    taken = []
    seen = set()
    for index in order:
        if len(taken) == number:
            break
        if trigram_blocking:
            words = summary_words(sentences[index])
            trigrams = set(zip(words, words[1:], words[2:], strict=False))
            if trigrams & seen:
                continue
            seen |= trigrams
        taken.append(index)
    return sorted(taken)
