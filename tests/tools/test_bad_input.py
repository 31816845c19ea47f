"""A person's mistake: exit code 2, one line that names flag, file or value and says what to do, nothing half-made."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.workbench import EVAL, SMALL_MODEL, TRAIN, Result, Workbench, leftovers


def asked(bench: Workbench, *flags: str) -> Result:
    """Of a command that is refused before it starts anything: within this process."""
    return bench.call("train", *bench.flags(*flags))


def check_mistake(bench: Workbench, result: Result, *parts: str) -> None:
    """One line on standard error that holds all ``parts``, and no trace of a run on disk."""
    assert result.code == 2, result
    assert len(result.err.splitlines()) == 1, result
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.out
    for part in parts:
        assert part in result.err
    check_nothing_half_made(bench)
    assert not list(bench.cache.glob("*/*"))


def check_nothing_half_made(bench: Workbench) -> None:
    assert leftovers(bench.folder) == []
    for folder in ("tmp", "staging"):
        files = [path.name for path in (bench.folder / folder).rglob("*") if path.is_file()]
        assert [name for name in files if not name.endswith(".lock")] == []


@dataclass(frozen=True)
class Mistake:
    """Flags and what the line must say."""

    name: str
    flags: list[str]
    parts: list[str]


MODEL = "--model_params"
FLAGS = [
    Mistake("unknown flag", ["--num_step=10"], ["--num_step: no such flag", "did you mean --num_steps?"]),
    Mistake("unknown flag, far from any", ["--zzz"], ["--zzz: no such flag", "--help"]),
    Mistake("abbreviated flag", ["--optimizer_par={}"], ["--optimizer_par: no such flag", "--optimizer_params"]),
    Mistake("word without a flag", ["--untar", "yes"], ["'yes'", "expected a flag"]),
    Mistake("flag without a value", ["--num_steps"], ["--num_steps", "expected one argument"]),
    Mistake("negative steps", ["--num_steps=-5"], ["--num_steps: expected 0 or more, got -5"]),
    Mistake("not a number", ["--num_steps=1e5x"], ["--num_steps: expected a whole number, got '1e5x'"]),
    Mistake("rate of nothing", ["--lr_init=0"], ["--lr_init: expected more than 0, got 0"]),
    Mistake("rate that is no number", ["--lr_init=nan"], ["--lr_init: expected a number, got 'nan'"]),
    Mistake("unknown optimiser", ["--optimizer=adamm"], ["--optimizer: 'adamm' is not known", "adam"]),
    Mistake(
        "JSON that does not parse",
        [MODEL + '={"template_size": 87, "search_size" 119}'],
        ["--model_params: not JSON", "at character 37", "⟨here⟩"],
    ),
    Mistake("JSON of another kind", [MODEL + "=[1]"], ["--model_params: expected a JSON object", "[1]"]),
    Mistake(
        "unknown key",
        [MODEL + '={"template_sise": 87}'],
        ["--model_params", "'template_sise'", "did you mean template_size?"],
    ),
    Mistake(
        "unknown key further in",
        [MODEL + '={"feature_params": {"arch_params": {"widht": 1}}}'],
        ["--model_params.feature_params.arch_params", "'widht'", "did you mean width?"],
    ),
    Mistake("sizes without a response", [MODEL + '={"template_size": 20}'], ["--model_params", "template_size"]),
    Mistake(
        "unknown key of a sampler", ['--sampler_params={"kind": "pair_range", "lo": 1}'], ["--sampler_params", "'lo'"]
    ),
    Mistake("unknown change", ['--augment_params={"search": {"blurr": 1}}'], ["--augment_params.search", "blur"]),
    Mistake("unknown filter", ['--filter_params={"min_sise": 1}'], ["--filter_params", "'min_sise'", "min_side?"]),
    Mistake(
        "more negative pairs than pairs",
        ['--negative_params={"same_class": 0.7, "other_video": 0.7}'],
        ["--negative_params", "sum to 1.4; expected at most 1"],
    ),
    Mistake(
        "unknown key of an entry",
        ['--train_dataset=[[1, {"dataset": "otb_50", "samplr": {}}]]'],
        ["--train_dataset", "'samplr'", "did you mean sampler?"],
    ),
    Mistake(
        "unknown filter of an entry",
        ['--train_dataset={"dataset": "otb_50", "filter": {"min_length": 0}}'],
        ["--train_dataset: 'otb_50': filter.min_length: expected 1 or more, got 0"],
    ),
    Mistake(
        "unknown key of an optimiser", ['--optimizer_params={"momentun": 0.9}'], ["--optimizer_params", "'momentun'"]
    ),
    Mistake("unknown key of a schedule", ['--lr_params={"warmup": 5}'], ["--lr_params", "'warmup'", "warmup_steps"]),
    Mistake("unknown model", ["--model=siamfcc"], ["--model: 'siamfcc' is not known", "did you mean siamfc?"]),
    Mistake("plug-in that is not there", ["--model=nowhere:Family"], ["--model", "'nowhere:Family'", "nowhere"]),
    Mistake("unknown data set", ["--eval_datasets", "otb_5"], ["--eval_datasets", "otb_5", "otb_50"]),
    Mistake("unknown layout", ["--train_dataset=otbb:x"], ["--train_dataset", "'otbb'", "did you mean otb?"]),
    Mistake(
        "mixture that does not parse",
        ['--train_dataset=[[0.5,"a"],'],
        ["--train_dataset: not JSON", "at character 12"],
    ),
    Mistake("unknown eval sampler", ["--eval_samplers", "ful"], ["--eval_samplers: 'ful'", "did you mean full?"]),
    Mistake("unknown metric", ["--optimize_metric=AUK"], ["--optimize_metric", "AUK", "AUC"]),
    Mistake(
        "selection on what is not assessed",
        ["--optimize_dataset=otb_50-full"],
        ["--optimize_dataset: 'otb_50-full' is not assessed", f"{EVAL}-full"],
    ),
    Mistake("width alone", ["--imwidth=360"], ["--imheight", "--imwidth and --imheight together"]),
    Mistake("height alone", ["--imheight=360"], ["--imwidth", "--imwidth and --imheight together"]),
    Mistake("two ways of staging", ["--untar", "--stage_mode=tar"], ["--stage_mode=tar", "--untar"]),
    Mistake("frames of no video", ["--keep_frames"], ["--keep_frames", "--visualize"]),
    Mistake("name that is a path", ["--name=a/b"], ["--name: 'a/b'"]),
    Mistake("place without a name", ["--data_paths", "/data"], ["--data_paths: expected name=DIR, got '/data'"]),
    Mistake("weights of no run", ["--init_from=latest"], ["--init_from", "cache"]),
    Mistake("weights of no file", ["--init_from=weights.pth"], ["--init_from: there is no file weights.pth"]),
    Mistake("features of no file", [MODEL + '={"feature_model_file": "no.pth"}'], ["--model_params", "no.pth"]),
    Mistake("configuration of no file", ["--config=no.yaml"], ["no.yaml", "cannot read it"]),
]  # fmt: skip


@pytest.mark.parametrize("mistake", FLAGS, ids=lambda mistake: mistake.name)
def test_flags(bench: Workbench, mistake: Mistake) -> None:
    result = asked(bench, *mistake.flags)

    check_mistake(bench, result, *mistake.parts)
    assert result.out == ""
    assert sorted(path.name for path in bench.folder.iterdir()) == ["home"]


def test_unpacking_without_tars(bench: Workbench) -> None:
    result = bench.call("train", "--untar", f"--data_dir={bench.folder}")

    check_mistake(bench, result, "--untar", "--tar_dir")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("num_steps: 5\nnum_trails: 2\n", ["mine.yaml: num_trails: no such flag", "did you mean num_trials?"]),
        ("num_steps: [5\nlr_init: 1\n", ["mine.yaml, line", "not YAML"]),
        ("lr_init: 1\nmodel_params: {context: 1,\n context: 2}\n", ["mine.yaml, line 3: context: it is there twice"]),
        ("lr_init: many\n", ["--lr_init: expected a number, got 'many'"]),
        ("- num_steps\n", ["mine.yaml", "expected lines of 'flag: value'"]),
    ],
    ids=["unknown name", "syntax", "twice", "value", "kind"],
)
def test_configuration_file(bench: Workbench, content: str, parts: list[str]) -> None:
    (bench.folder / "mine.yaml").write_text(content)

    check_mistake(bench, asked(bench, "--config=mine.yaml"), *parts)


def test_machine_files_hold_paths_only(bench: Workbench) -> None:
    (bench.folder / "seqtrack.local.yaml").write_text("lr_init: 1\n")

    check_mistake(bench, asked(bench), "seqtrack.local.yaml", "'lr_init' may not be set here", "tar_dir")


def test_tensorflow_checkpoint(bench: Workbench) -> None:
    (bench.folder / "resnet_v1_50.ckpt").write_bytes(b"\0" * 100)
    params = json.dumps(SMALL_MODEL | {"feature_model_file": "resnet_v1_50.ckpt"})

    result = asked(bench, f"--model_params={params}")

    check_mistake(bench, result, "feature_model_file", "resnet_v1_50.ckpt", "TensorFlow", "torch or safetensors")


def test_weights_of_which_nothing_matches(bench: Workbench) -> None:
    """Only the worker can tell; it is a person's mistake all the same."""
    from safetensors.numpy import save_file

    save_file({"some.weight": np.zeros((3, 3), np.float32)}, bench.folder / "other.safetensors")

    result = bench.train("--init_from=other.safetensors")

    assert result.code == 2, result
    assert len(result.err.splitlines()) == 1, result
    assert "--init_from: nothing in" in result.err
    assert "other.safetensors" in result.err
    assert leftovers(bench.folder) == []


# ------------------------------------------------------------------------------------------------- data


@pytest.fixture
def own(bench: Workbench, tars: Path) -> Workbench:
    """Tars that a test may break."""
    shutil.copytree(tars, bench.folder / "tars")
    return Workbench(bench.folder, bench.package, bench.folder / "tars")


def tar_of(bench: Workbench, name: str) -> Path:
    return bench.tars / "original" / f"{name}.tar"


def rewrite(path: Path, change: Callable[[str, bytes], bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> None:
    """The tar with the content of its members changed."""
    with tarfile.open(path) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar if member.isfile()]  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members:
            data = change(member.name, data)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in extra:
            tar.addfile(member, io.BytesIO(b"x" * member.size))


@pytest.mark.parametrize("name", [TRAIN, EVAL])
def test_missing_tar(own: Workbench, name: str) -> None:
    tar_of(own, name).unlink()

    check_mistake(own, own.train("--untar", "--tmp_data_dir=tmp"), name, str(tar_of(own, name)), "--tar_dir")


@pytest.mark.parametrize("flags", [[], ["--untar", "--tmp_data_dir=tmp"]], ids=["in place", "untar"])
@pytest.mark.parametrize("keep", [0.5, 0.0], ids=["half", "empty"])
def test_truncated_tar(own: Workbench, flags: list[str], keep: float) -> None:
    path = tar_of(own, TRAIN)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])

    check_mistake(own, own.train(*flags), str(path), "copy or pack it again" if keep else "empty")


def test_compressed_tar(own: Workbench) -> None:
    import gzip

    path = tar_of(own, TRAIN)
    path.write_bytes(gzip.compress(path.read_bytes()))

    check_mistake(own, own.train(), str(path), "gzip", "decompress it first")


@pytest.mark.parametrize("name", [f"{TRAIN}/../../escaped", "/escaped", "other/file"])
def test_member_that_escapes(own: Workbench, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = 1
    rewrite(tar_of(own, TRAIN), lambda _, data: data, (member,))

    result = own.train("--untar", "--tmp_data_dir=tmp")

    check_mistake(own, result, str(tar_of(own, TRAIN)), repr(name))
    assert not list(own.folder.parent.rglob("escaped"))


def test_link_that_escapes(own: Workbench) -> None:
    member = tarfile.TarInfo(f"{TRAIN}/link")
    member.type, member.linkname = tarfile.SYMTYPE, "../../home"
    rewrite(tar_of(own, TRAIN), lambda _, data: data, (member,))

    check_mistake(own, own.train("--untar", "--tmp_data_dir=tmp"), "'sample_train/link'", "'../../home'")


def test_rows_that_do_not_match_the_frames(own: Workbench) -> None:
    def one_row_less(name: str, data: bytes) -> bytes:
        return data.partition(b"\n")[2] if name.endswith("Train001/groundtruth_rect.2.txt") else data

    rewrite(tar_of(own, TRAIN), one_row_less)

    check_mistake(own, own.train(), "Train001/groundtruth_rect.2.txt", "11 rows for 12 frames", "mend")


def test_row_that_is_no_box(own: Workbench) -> None:
    def spoiled(name: str, data: bytes) -> bytes:
        if not name.endswith("Eval001/groundtruth_rect.txt"):
            return data
        rows = data.splitlines(keepends=True)
        return b"".join([*rows[:4], b"12,13,oops,5\n", *rows[5:]])

    rewrite(tar_of(own, EVAL), spoiled)

    check_mistake(own, own.train(), "Eval001/groundtruth_rect.txt, row 5", "12,13,oops,5", "mend that row")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_image_that_does_not_decode(own: Workbench, num_workers: int) -> None:
    """Found by the trials, in the loader's processes or not; both say the same one thing."""

    def spoiled(name: str, data: bytes) -> bytes:
        return data[:400] + bytes(len(data) - 400) if name.endswith("img/0007.jpg") else data

    rewrite(tar_of(own, TRAIN), spoiled)

    result = own.train("--max_parallel=1", f"--num_workers={num_workers}", "--num_steps=200")

    check_trial_mistake(own, result, "sample_train: video Train00", "frame 6", "img/0007.jpg")


def test_assessed_image_that_does_not_decode(own: Workbench) -> None:
    def spoiled(name: str, data: bytes) -> bytes:
        return data[: len(data) // 2] if name.endswith("Eval002/img/0003.jpg") else data

    rewrite(tar_of(own, EVAL), spoiled)

    result = own.train("--num_steps=5")

    check_trial_mistake(own, result, "sample_eval: video Eval002, frame 2", "Eval002/img/0003.jpg")
    # What was tracked before stays, and the frame mended is all it takes.
    assert "trained; would be assessed" in own.train("--num_steps=5", "--dry_run").out


def check_trial_mistake(bench: Workbench, result: Result, *parts: str) -> None:
    """A mistake that only a trial can meet: told in one line too, and the summary names it."""
    assert result.code == 2, result
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line
    assert "0 of 1 trial completed" in result.out
    (trial,) = json.loads(bench.run_folder().summary_json.read_text())["trials"]
    assert trial["state"] == "failed"
    assert all(part in trial["error"] for part in parts)
    check_nothing_half_made(bench)


def test_image_whose_header_does_not_decode(own: Workbench) -> None:
    """The first frame's size is needed for the index, so this one is found before anything starts."""
    rewrite(tar_of(own, EVAL), lambda name, data: b"text" if name.endswith("Eval002/img/0001.jpg") else data)

    check_mistake(own, own.train(), "Eval002/img/0001.jpg", "replace the file")


# ----------------------------------------------------------------------------------------------- disks


@pytest.mark.parametrize("flag", ["cache_dir", "data_cache_dir"])
def test_folder_that_cannot_be_written(bench: Workbench, flag: str) -> None:
    (bench.folder / "file").write_text("")

    check_mistake(bench, asked(bench, f"--{flag}=file/below"), f"--{flag}: cannot write to", "file/below")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("mode", ["untar", "tar"])
def test_full_disk_while_staging(bench: Workbench, small_disk: Path, mode: str) -> None:
    result = bench.train(f"--stage_mode={mode}", f"--tmp_data_dir={small_disk}")

    check_trial_mistake(bench, result, "--tmp_data_dir", str(small_disk), f"{TRAIN}.tar", "make room")
    files = [path.name for path in small_disk.rglob("*") if path.is_file()]
    assert [name for name in files if not name.endswith(".lock")] == []


def test_full_disk_under_the_index(bench: Workbench, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(56 << 10))

    result = bench.train(f"--data_cache_dir={small_disk}")

    check_mistake(bench, result, "--data_cache_dir", str(small_disk), "no space left")
    assert leftovers(small_disk) == []


# ------------------------------------------------------------------------------------------- other tools


@pytest.mark.parametrize(
    ("tool", "words", "parts"),
    [
        ("train_work", ["latest", "0"], ["there is no run in cache"]),
        ("train_work", [], ["the following arguments are required"]),
        ("train_work", ["latest", "first"], ["SEED", "'first'"]),
        ("index", ["bild"], ["bild"]),
        (
            "pack",
            ["--layout=otb", "--source=x", "--name=y", "--tar_dir=z", "--sequense"],
            ["--sequense: no such flag"],
        ),
        ("sample_data", ["--out=x", "--size=large"], ["--size", "'large'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_every_tool_answers_alike(bench: Workbench, tool: str, words: list[str], parts: list[str]) -> None:
    result = bench.run(tool, *words)

    assert result.code == 2, result
    assert len(result.err.splitlines()) == 1, result
    for part in parts:
        assert part in result.err
    assert sorted(path.name for path in bench.folder.iterdir()) == ["home"]
