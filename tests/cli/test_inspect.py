"""`keras-albert inspect`: what it finds in files, and its exit codes."""

import json

import pytest

from keras_albert.cli import main

pytestmark = pytest.mark.once

LONG = "please tell me how the weather is going to be in the mountains"
TRAIN = f"""text,label
Wake me up at seven tomorrow,alarm
Is it going to rain in Oslo today,weather
Wake me up at seven tomorrow,call
"{LONG}, today",weather
"{LONG}",weather
,alarm
Ring me at noon 语言,
"""
TEST = f"""text,label
Is it going to rain in Oslo today,weather
"{LONG}, today!",music
Snooze for ten minutes,alarm
"""
COLUMNS = ["--text-column", "text", "--label-column", "label"]


@pytest.fixture
def inspect(tmp_path, capsys, monkeypatch):
    """Runs `inspect` on files of given contents; code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*options, columns=COLUMNS, **files):
        paths = []
        for name, content in files.items():
            name = name.replace("_", ".")
            (tmp_path / name).write_text(content, encoding="utf-8")
            paths.append(name)
        code = main(["inspect", *columns, *options, *paths])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def report_of(inspect):
    def run(*options, code=0, **files):
        given, out, err = inspect(*options, "--json", **files)
        assert given == code, err
        return json.loads(out)

    return run


def places(report, what):
    return [x["where"] for x in report["findings"] if x["what"] == what]


def test_what_is_in_two_files(report_of):
    report = report_of(
        "--max-length", "12", code=1, train_csv=TRAIN, test_csv=TEST
    )
    train, test = report["files"]
    assert (train["rows"], test["rows"]) == (7, 3)
    assert (train["copies"], train["near_duplicates"]) == (1, 1)
    assert (test["copies"], test["near_duplicates"]) == (0, 0)
    assert train["labels"] == {
        "weather": 3,
        "alarm": 2,
        "call": 1,
        "": 1,
    }
    assert train["imbalance"] == 3
    assert (train["empty"], train["unlabelled"]) == (1, 1)
    assert places(report, "empty text") == [["train.csv, line 7"]]
    assert places(report, "blank label") == [["train.csv, line 8"]]
    assert train["rows_with_unknown"] == 1
    assert places(report, "tokens that the vocabulary lacks") == [
        ["train.csv, line 8"]
    ]
    assert report["between"] == [
        {
            "files": ["train.csv", "test.csv"],
            "copies": 1,
            "near_duplicates": 1,
            "new_labels": ["music"],
        }
    ]
    assert places(report, "copy between files") == [
        ["test.csv, line 2", "train.csv, line 3"]
    ]
    # Of both that it resembles, the one that it resembles most.
    assert places(report, "near-duplicate between files") == [
        ["test.csv, line 3", "train.csv, line 5"]
    ]
    assert report["conflicts"] == {"copies": 2, "near_duplicates": 3}
    assert places(report, "same text, other label") == [
        ["train.csv, line 2", "train.csv, line 4"]
    ]
    assert report["leaks"] is True


def test_lengths_are_those_that_the_model_sees(report_of, tokenizer):
    texts = ["one", "one two", "a b c d e f g h", LONG]
    content = "text,label\n" + "".join(f"{text},x\n" for text in texts)
    lengths = sorted(len(tokenizer(text)) + 2 for text in texts)
    report = report_of("--max-length", str(lengths[2]), a_csv=content)
    facts = report["files"][0]
    assert facts["tokens"]["max"] == lengths[-1]
    assert facts["tokens"]["0.5"] == lengths[1]
    assert (facts["cut"], facts["cut_rate"]) == (1, 0.25)
    pairs = "a,b,label\none,one two,x\n"
    columns = ["--text-column", "a", "--pair-column", "b"]
    report = report_of(columns=columns, pairs_csv=pairs)
    first, second = len(tokenizer("one")), len(tokenizer("one two"))
    assert report["files"][0]["tokens"]["max"] == first + second + 3


def test_pairs_are_the_same_when_both_texts_are(report_of):
    columns = ["--text-column", "0", "--pair-column", "1"]
    first = "a man sleeps\ta man is awake\na b\tc\n"
    second = "a man is awake\ta man sleeps\na\tb c\nthe dog\tbarks\n"
    report = report_of(columns=columns, a_tsv=first, b_tsv=second)
    assert report["leaks"] is False
    assert "conflicts" not in report
    report = report_of(columns=columns, code=1, a_tsv=first, b_tsv=first)
    assert report["between"][0]["copies"] == 2


def test_blank_rows_repeat_nothing(report_of):
    content = "text,label\n,x\n ,y\nSnooze,x\n"
    report = report_of(a_csv=content, b_csv=content.replace("Snooze", "rain"))
    assert [facts["empty"] for facts in report["files"]] == [2, 2]
    assert [facts["copies"] for facts in report["files"]] == [0, 0]
    assert report["conflicts"] == {"copies": 0, "near_duplicates": 0}
    assert report["leaks"] is False

    columns = ["--text-column", "0", "--pair-column", "1"]
    pairs = "\t\na b\t\n"
    report = report_of(columns=columns, code=1, a_tsv=pairs, b_tsv=pairs)
    assert report["between"][0]["copies"] == 1


def test_text_for_people_says_the_same(inspect):
    code, out, err = inspect(train_csv=TRAIN, test_csv=TEST)
    assert code == 1
    assert "leakage between files: yes" in out
    assert "1 copies, 1 near-duplicates" in out
    assert "copy between files: test.csv, line 2; train.csv, line 3" in out
    assert "comparing 10 rows" in err
    clean = "text,label\nSnooze,alarm\nrain,weather\n"
    code, out, _ = inspect(train_csv=TRAIN, test_csv=clean)
    assert code == 0
    assert "leakage between files: none" in out


def test_scores(report_of):
    content = "text,label\na,1.5\nb,2\nc,4.5\nc,3\n"
    report = report_of("--regression", a_csv=content)
    scores = report["files"][0]["scores"]
    assert (scores["min"], scores["max"], scores["mean"]) == (1.5, 4.5, 2.75)
    assert report["conflicts"] == {"copies": 2}
    report = report_of(a_csv=content)
    (where,) = places(report, "a score, not a class; --regression takes it")
    assert where == ["a.csv, line 2"]
    whole = content.replace("1.5", "1").replace("4.5", "4")
    report = report_of(a_csv=whole)
    assert not places(report, "a score, not a class; --regression takes it")


def test_several_labels_a_text(report_of):
    content = "text,label\na b c,x|y\na b c,y | x\nd,\n"
    report = report_of("--multi-label", "|", a_csv=content)
    facts = report["files"][0]
    assert facts["labels"] == {"x": 2, "y": 2}
    assert facts["unlabelled"] == 0
    assert report["conflicts"]["copies"] == 0


def test_a_vocabulary_of_ones_own(report_of, tokenizer, tmp_path):
    (tmp_path / "v.spm").write_bytes(tokenizer.proto)
    own = report_of("--vocabulary", "v.spm", a_csv=TRAIN)
    assert own == report_of(a_csv=TRAIN)


@pytest.mark.parametrize("options", [[], ["--regression"]])
def test_picture(inspect, tmp_path, options):
    content = TRAIN
    if options:
        content = "text,label\n" + "".join(f"a {n},{n / 3}\n" for n in range(9))
    for name in ("a.png", "a.svg"):
        code, _, err = inspect(
            *options, "--max-length", "6", "--picture", name, train_csv=content
        )
        assert code == 0, err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text-column", "sentence"], ["train.csv", "'sentence'", "'text'"]),
        (["--similarity", "0.2"], ["0.6", "0.2"]),
        (["--max-length", "2"], ["max_length", "2"]),
        (["--picture", "a.jpeg"], [".png", "a.jpeg"]),
        (["--picture", "none/a.png"], ["folder", "none/a.png"]),
        (["--vocabulary", "none.spm"], ["none.spm"]),
        (["--regression"], ["train.csv, line 2", "'alarm'"]),
        (["--regression", "--multi-label", "|"], ["Received both"]),
        (["./train.csv"], ["given once", "train.csv"]),
        (["other.csv"], ["other.csv"]),
    ],
)
def test_bad_input(inspect, options, words):
    code, out, err = inspect(*options, train_csv=TRAIN)
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if "error: " in line]
    assert len(lines) == 1
    assert all(word in lines[0] for word in words)
    assert "comparing" not in err  # What takes long comes after.


def test_columns_by_default(inspect, report_of):
    named = report_of(a_csv=TRAIN)
    assert report_of(columns=[], a_csv=TRAIN) == named
    rows = [{"text": "a b", "label": "x"}, {"text": "c", "label": "y"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    report = report_of(columns=[], a_jsonl=lines)
    assert report["files"][0]["labels"] == {"x": 1, "y": 1}
    report = report_of(columns=[], a_tsv="text\tother\na\tb\n")
    assert "labels" not in report["files"][0]
    code, _, err = inspect(columns=[], a_csv="sentence,label\na,b\n")
    assert code == 2 and "'text'" in err and "'sentence'" in err
    code, _, err = inspect(
        columns=["--text-column", "text", "--regression"], train_csv=TRAIN
    )
    assert code == 2 and "label column" in err
