"""GLUE's files as the official archives have them, and as their authors."""

import gzip

import numpy as np
import pytest

from keras_albert.data.glue import TASKS, read_task, submission, tasks_in

pytestmark = pytest.mark.once

CLASSIC = "index\tsentence1\tsentence2\tlabel\n"
MNLI = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\t"
    "sentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
    "sentence2"
)
MNLI_ROW = "{}\t1\t2\tfiction\t( a )\t( b )\t(X a)\t(X b)\t{}\t{}"
QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(content.encode()))
        else:
            path.write_text(content, encoding="utf-8")


def test_cola_has_no_header_but_its_test_file(tmp_path):
    rows = 'gj04\t1\t\tHe said "go.\nc13\t0\t*\tGo he said ".\n'
    write(
        tmp_path,
        {
            "CoLA/train.tsv": rows,
            "CoLA/dev.tsv": rows.replace("go", "went"),
            "CoLA/test.tsv": "index\tsentence\n0\tBill coughed.\n1\tx\n",
        },
    )
    data = read_task(tmp_path, "CoLA")
    # A quotation mark is a character, and opens nothing.
    assert data.train.texts == ['He said "go.', 'Go he said ".']
    assert data.train.targets.tolist() == [1, 0]
    assert data.dev[""].texts[0] == 'He said "went.'
    assert data.tests["CoLA"].texts == ["Bill coughed.", "x"]
    assert data.tests["CoLA"].index == ["0", "1"]
    assert data.missing == []


def test_cola_as_its_authors_publish_it(tmp_path):
    """Both dev files together are GLUE's."""
    write(
        tmp_path,
        {
            "CoLA/in_domain_train.tsv.gz": "a\t1\t\tA man.\n",
            "CoLA/in_domain_dev.tsv": "a\t1\t\tOne.\n",
            "CoLA/out_of_domain_dev.tsv": "b\t0\t*\tTwo.\n",
        },
    )
    data = read_task(tmp_path, "CoLA")
    assert data.dev[""].texts == ["One.", "Two."]
    assert data.dev[""].targets.tolist() == [1, 0]
    assert data.missing == ["CoLA"]


def test_mnli_has_two_dev_and_three_test_splits(tmp_path):
    train = MNLI + "\tlabel1\tgold_label\n"
    dev = MNLI + "\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
    labels = ("neutral", "contradiction", "entailment")
    write(
        tmp_path,
        {
            "MNLI/train.tsv": train
            + "".join(
                MNLI_ROW.format(i, f"a{i}", f"b{i}") + f"\tx\t{label}\n"
                for i, label in enumerate(labels)
            ),
            "MNLI/dev_matched.tsv": dev
            + MNLI_ROW.format(0, "m", "n")
            + "\tneutral\t\t\t\t\tentailment\n",
            "MNLI/dev_mismatched.tsv": dev
            + MNLI_ROW.format(0, "p", "q")
            + "\tneutral\t\t\t\t\tcontradiction\n",
            "MNLI/test_matched.tsv": MNLI
            + "\n"
            + MNLI_ROW.format(7, "t", "u")
            + "\n",
            "AX/AX.tsv": "index\tsentence1\tsentence2\n3\tc\td\n",
        },
    )
    data = read_task(tmp_path, "MNLI")
    assert data.train.texts == [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]
    names = [TASKS["MNLI"].labels[i] for i in data.train.targets]
    assert names == list(labels)
    assert list(data.dev) == ["matched", "mismatched"]
    assert data.dev["matched"].targets.tolist() == [1]
    assert data.dev["mismatched"].texts == [("p", "q")]
    assert list(data.tests) == ["MNLI-m", "AX"]
    assert data.tests["MNLI-m"].index == ["7"]
    assert data.tests["AX"].texts == [("c", "d")]
    assert data.missing == ["MNLI-mm"]


def test_sts_b_of_either_source(tmp_path):
    official = (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\t"
        "sentence1\tsentence2\tscore\n"
    )
    row = "{}\tcaptions\tf\t2012\t1\ts\ts\tA dog.\tA cat.\t{}\n"
    published = "captions\tMSRvid\t2012\t0001\t3.8\tA plane.\tAn air plane."
    write(
        tmp_path / "official",
        {
            "STS-B/train.tsv": official + row.format(0, "5.000"),
            "STS-B/dev.tsv": official + row.format(0, "0.5"),
        },
    )
    write(
        tmp_path / "published",
        {
            # Some rows have two more fields, of licences.
            "STS-B/sts-train.tsv": f"{published}\n{published}\tCC\tCC\n",
            "STS-B/sts-dev.tsv.gz": published,
            "STS-B/sts-test.tsv": published,
        },
    )
    data = read_task(tmp_path / "official", "STS-B")
    assert data.train.targets.tolist() == [5.0]
    assert data.train.texts == [("A dog.", "A cat.")]
    data = read_task(tmp_path / "published", "STS-B")
    assert data.train.targets.tolist() == pytest.approx([3.8, 3.8])
    assert data.train.texts == [("A plane.", "An air plane.")] * 2
    assert data.tests["STS-B"].index == ["0"]


def test_mrpc_and_its_test_file_of_either_source(tmp_path):
    header = "\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    row = "{}\t1\t2\tHe said so.\tSo he said.\n"
    files = {
        f"MRPC/{split}.tsv": "\ufeffQuality" + header + row.format(1)
        for split in ("train", "dev")
    }
    for first, value, index in (("index", 12, "12"), ("Quality", 0, "0")):
        write(
            tmp_path,
            {**files, "MRPC/test.tsv": first + header + row.format(value)},
        )
        data = read_task(tmp_path, "MRPC")
        assert data.train.targets.tolist() == [1]
        assert data.train.texts == [("He said so.", "So he said.")]
        assert data.tests["MRPC"].index == [index]


def test_broken_rows_of_qqp_are_left_out_and_counted(tmp_path):
    """The official files have some; the original's code passes over them."""
    good = "1\t2\t3\tWhy?\tHow so?\t1\n"
    write(
        tmp_path,
        {
            "QQP/train.tsv": QQP + good + "4\t5\t6\tWhat\n" + good,
            "QQP/dev.tsv": QQP + good,
            "QQP/test.tsv": "id\tquestion1\tquestion2\n5\ta\tb\n",
        },
    )
    data = read_task(tmp_path, "QQP")
    assert len(data.train) == 2
    assert data.train.left_out == 1
    assert data.tests["QQP"].index == ["5"]
    # An answer that cannot be given is one that is missing.
    with open(tmp_path / "QQP/test.tsv", "a", encoding="utf-8") as file:
        file.write("6\tc\n")
    with pytest.raises(ValueError, match=r"QQP/test.tsv, line 3.*3 fields"):
        read_task(tmp_path, "QQP")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train", CLASSIC + "0\ta\tb\n", r"RTE/train.tsv, line 2.*4 fields"),
        ("train", CLASSIC + "0\ta\tb\t1\n", r"line 2.*'entailment'.*'1'"),
        ("dev", CLASSIC.replace("label", "x"), r"dev.tsv.*column 'label'"),
        ("dev", "", r"dev.tsv.*empty"),
        (
            "test",
            "index\tsentence1\tsentence2\n4\ta\tb\n5\ta\tb\n4\tc\td\n",
            r"test.tsv, line 4.*another than that of line 2.*'4'",
        ),
        ("test", "index\ttext\n4\ta\n", "column 'sentence1'"),
        (
            "test",
            "index\tsentence1\tsentence2\n\ta\tb\n",
            "line 2: the index must not be empty",
        ),
    ],
)
def test_bad_rows_are_named(tmp_path, name, content, words):
    good = CLASSIC + "0\ta\tb\tentailment\n"
    files = {"RTE/train.tsv": good, "RTE/dev.tsv": good}
    write(tmp_path, {**files, f"RTE/{name}.tsv": content})
    with pytest.raises(ValueError, match=words):
        read_task(tmp_path, "RTE")


def test_scores_out_of_range_are_named(tmp_path):
    row = "g\tf\t2012\t1\t{}\ta\tb\n"
    write(
        tmp_path,
        {
            "STS-B/sts-train.tsv": row.format(5) + row.format(5.5),
            "STS-B/sts-dev.tsv": row.format(1),
        },
    )
    with pytest.raises(ValueError, match=r"line 2.*between 0 and 5.*5\.5"):
        read_task(tmp_path, "STS-B")


def test_what_is_not_there(tmp_path):
    with pytest.raises(OSError, match="no folder .*nowhere"):
        tasks_in(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="folders called CoLA, SST-2"):
        tasks_in(tmp_path)
    write(tmp_path, {"WNLI/train.tsv": CLASSIC + "0\ta\tb\t1\n"})
    assert tasks_in(tmp_path) == ["WNLI"]
    with pytest.raises(OSError, match=r"must have WNLI/dev.tsv"):
        read_task(tmp_path, "WNLI")
    with pytest.raises(OSError, match="in_domain_dev|CoLA/train.tsv"):
        read_task(tmp_path, "CoLA")
    with pytest.raises(ValueError, match="'SQuAD'"):
        read_task(tmp_path, "SQuAD")


def test_some_rows_are_the_same_ones_every_time(tmp_path):
    rows = "".join(f"{i}\ta{i}\tb{i}\t{i % 2}\n" for i in range(50))
    files = {f"WNLI/{split}.tsv": CLASSIC + rows for split in ("train", "dev")}
    write(tmp_path, files)
    some, again = (read_task(tmp_path, "WNLI", 10).train for _ in range(2))
    assert some.texts == again.texts
    assert len(set(some.texts)) == 10
    for (text, _), target in zip(some.texts, some.targets, strict=True):
        assert int(text[1:]) % 2 == target
    data = read_task(tmp_path, "WNLI", 100)
    assert len(data.train) == len(data.dev[""]) == 50
    with pytest.raises(ValueError, match="rows=0"):
        read_task(tmp_path, "WNLI", 0)


def test_submissions_have_the_names_of_the_files():
    values = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    assert submission(TASKS["MNLI"], ["8", "9"], values) == (
        "index\tprediction\n8\tneutral\n9\tcontradiction\n"
    )
    assert submission(TASKS["QNLI"], ["0"], values[:1, :2]) == (
        "index\tprediction\n0\tnot_entailment\n"
    )
    assert submission(TASKS["SST-2"], ["0"], values[:1, :2]) == (
        "index\tprediction\n0\t1\n"
    )
    scores = np.array([[-0.2], [2.71828], [5.3]])
    assert submission(TASKS["STS-B"], ["0", "1", "2"], scores) == (
        "index\tprediction\n0\t0.000\n1\t2.718\n2\t5.000\n"
    )


def test_the_real_files(data_folder):
    """Their numbers of rows are those that the authors give."""
    rows = {
        "CoLA": (8551, 1043),
        "SST-2": (67349, 872),
        "MRPC": (3668, 408),
        "STS-B": (5749, 1500),
        "RTE": (2490, 277),
        "WNLI": (635, 71),
    }
    folder = data_folder / "glue"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    for name in tasks_in(folder):
        data = read_task(folder, name)
        if name in rows:
            assert (len(data.train), len(data.dev[""])) == rows[name]
            assert data.train.left_out == 0
