"""The texts of the data folder that docs/data.md describes, by corpus."""

import csv
import gzip
import itertools
import json


def open_text(path):
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8", newline="")


def read_columns(path, columns, delimiter="\t", header=True):
    """The texts of some columns of a table, `""` quoting for commas only."""
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with open_text(path) as file:
        rows = csv.reader(file, delimiter=delimiter, quoting=quoting)
        for row in itertools.islice(rows, int(header), None):
            yield from (row[column] for column in columns)


def read_lines(path):
    with open_text(path) as file:
        yield from (line for line in file if line.strip())


def read_conll(path):
    with open_text(path) as file:
        blank = lambda line: not line.strip()  # noqa: E731
        for is_blank, lines in itertools.groupby(file, blank):
            if not is_blank:
                yield " ".join(line.split()[0] for line in lines)


def read_json(path):
    """Every string that has a blank in it, wherever it stands."""
    with open_text(path) as file:
        lines = file if ".jsonl" in path.name else [file.read()]
        pending = [json.loads(line) for line in lines]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str) and " " in value:
            yield value


def read_squad(path, field):
    with open_text(path) as file:
        articles = json.load(file)["data"]
    for paragraph in itertools.chain(*(a["paragraphs"] for a in articles)):
        if field == "context":
            yield paragraph["context"]
            continue
        for question in paragraph["qas"]:
            if field == "question":
                yield question["question"]
            else:
                yield from (answer["text"] for answer in question["answers"])


def columns(*numbers, **options):
    return lambda path: read_columns(path, numbers, **options)


def squad(field):
    return lambda path: read_squad(path, field)


TWEETS, ELSEWHERE, MORE = "tweets", "elsewhere", "more"
# Group, name, and pairs of a pattern of files and their reader.
CORPORA = (
    (
        TWEETS,
        "davidson_hate",
        [("davidson_hate/*.csv*", columns(6, delimiter=","))],
    ),
    (TWEETS, "wnut17", [("wnut17/*.conll*", read_conll)]),
    (ELSEWHERE, "SST-2", [("glue/SST-2/*.tsv*", columns(0))]),
    (ELSEWHERE, "CoLA", [("glue/CoLA/*.tsv*", columns(3, header=False))]),
    (ELSEWHERE, "SQuAD contexts", [("squad/*.json*", squad("context"))]),
    (ELSEWHERE, "SQuAD questions", [("squad/*.json*", squad("question"))]),
    (
        ELSEWHERE,
        "MLQE English",
        [
            ("mlqe/en-de.*", columns(1)),
            ("mlqe/et-en.*", columns(2)),
            ("mlqe/ro-en.*", columns(2)),
        ],
    ),
    (ELSEWHERE, "MLQE German", [("mlqe/en-de.*", columns(2))]),
    (ELSEWHERE, "MLQE Estonian", [("mlqe/et-en.*", columns(1))]),
    (ELSEWHERE, "MLQE Romanian", [("mlqe/ro-en.*", columns(1))]),
    (ELSEWHERE, "Gutenberg", [("pretrain/gutenberg.*", read_lines)]),
    (ELSEWHERE, "US speeches", [("pretrain/us_speeches.*", read_lines)]),
    (ELSEWHERE, "Wikipedia", [("pretrain/wikipedia*", read_lines)]),
    (MORE, "SQuAD answers", [("squad/*.json*", squad("answer"))]),
    (
        MORE,
        "MRPC, RTE, STS-B, WNLI",
        [
            ("glue/MRPC/*.tsv*", columns(3, 4)),
            ("glue/RTE/*.tsv*", columns(1, 2)),
            ("glue/STS-B/*.tsv*", columns(5, 6, header=False)),
            ("glue/WNLI/*.tsv*", columns(1, 2)),
        ],
    ),
    (MORE, "BBC", [("bbc_news_summary/*.jsonl*", read_json)]),
    (MORE, "CoNLL 2003", [("conll2003/*.txt*", read_conll)]),
    (
        MORE,
        "banking77, covid_faq",
        [
            ("banking77/t*.csv*", columns(0, delimiter=",")),
            ("covid_faq/*.csv*", columns(0, 1, delimiter=",")),
        ],
    ),
    (
        MORE,
        "commonsenseqa, scitldr",
        [
            ("commonsenseqa/*.jsonl*", read_json),
            ("scitldr/*.jsonl*", read_json),
        ],
    ),
)


def texts_of(folder, sources):
    """The distinct texts of a corpus, sorted."""
    return sorted(
        {
            text
            for pattern, read in sources
            for path in folder.glob(pattern)
            for text in read(path)
        }
    )
