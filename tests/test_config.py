"""Flags, files and what they mean for identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack import config
from seqtrack.config import AssessConfig, TrainConfig, build
from seqtrack.errors import UserError
from seqtrack.runs.identity import assessment_key, canonical_json, digest, identity, run_id
from seqtrack.tools.train import build_parser, read_config


def parse(*words: str) -> config.Config:
    return read_config(vars(build_parser().parse_args(list(words))))


def test_the_seed_documents_training_command_is_read_as_written() -> None:
    parsed = parse(
        "--num_trials=1", "--imwidth=360", "--imheight=360", "--eval_datasets", "otb_50", "--eval_samplers", "full",
        "--max_eval_videos=100", "--period_assess=50000", "--period_ckpt=10000", "--num_steps=100000",
        "--optimizer=adam", "--lr_init=1e-3", "--loglevel=info", "--verbose_train",
    )  # fmt: skip
    assert (parsed.train.imwidth, parsed.train.imheight, parsed.train.num_steps) == (360, 360, 100000)
    assert (parsed.train.optimizer, parsed.train.lr_init) == ("adam", 0.001)
    assert parsed.assess.eval_datasets == ("otb_50",)
    assert (parsed.assess.max_eval_videos, parsed.assess.period_assess) == (100, 50000)
    assert (parsed.execution.period_ckpt, parsed.execution.verbose_train) == (10000, True)


def test_the_seed_documents_model_params_are_read_as_written() -> None:
    text = """{
        "template_size": 123,
        "search_size": 251,
        "feature_params": {
            "arch": "slim_resnet_v1_50",
            "arch_params": {
                "padding": "VALID",
                "num_blocks": 1
            }
        },
        "feature_model_file": "path/to/resnet_v1_50.ckpt"
    }"""
    params = parse("--model_params", text).train.model_params
    assert params["feature_params"]["arch_params"] == {"padding": "VALID", "num_blocks": 1}


@pytest.mark.parametrize("spelling", ["--num-steps=7", "--num_steps=7"])
def test_dashes_and_underscores_are_the_same(spelling: str) -> None:
    assert parse(spelling).train.num_steps == 7


@pytest.mark.parametrize(("word", "value"), [("--deterministic", True), ("--no-deterministic", False)])
def test_a_flag_can_be_taken_back(word: str, value: bool) -> None:
    assert parse(word).execution.deterministic is value


def test_flags_override_the_file_and_the_file_overrides_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("num_steps: 10\nlr_init: 0.5\neval_datasets: [vot2018]\ntrain_dataset: [[0.5, a], [0.5, b]]\n")
    parsed = parse("--config", str(file), "--num_steps=20")
    assert (parsed.train.num_steps, parsed.train.lr_init) == (20, 0.5)
    assert parsed.assess.eval_datasets == ("vot2018",)
    assert parsed.train.train_dataset == [[0.5, "a"], [0.5, "b"]]


def test_machine_files_may_set_paths_and_nothing_else(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    (home / ".config").mkdir(parents=True)
    folder.mkdir()
    (home / ".config" / "seqtrack.yaml").write_text("tar_dir: /slow/tars\ndata_dir: /a\n")
    (folder / "seqtrack.local.yaml").write_text("data_dir: /b\ndata_paths: {otb_50: /publisher/OTB}\n")
    values = config.machine_values(home, folder)
    assert values == {"tar_dir": "/slow/tars", "data_dir": "/b", "data_paths": {"otb_50": "/publisher/OTB"}}
    (folder / "seqtrack.local.yaml").write_text("lr_init: 1\n")
    with pytest.raises(UserError, match=r"seqtrack\.local\.yaml: 'lr_init' may not be set here"):
        config.machine_values(home, folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_stpes=3"], "--num_stpes: no such flag; did you mean --num_steps?"),
        (["--num_steps=-1"], "--num_steps: expected 0 or more, got -1"),
        (["--num_steps=many"], "--num_steps: expected a whole number, got 'many'"),
        (["--lr_init=0"], "--lr_init: expected more than 0, got 0"),
        (["--lr_init=nan"], "--lr_init: expected a number, got 'nan'"),
        (["--optimizer=adma"], "--optimizer: 'adma' is not known; did you mean adam?"),
        (["--eval_samplers", "ful"], "--eval_samplers: 'ful' is not known; did you mean full?"),
        (["--imwidth=360"], "--imheight: give --imwidth and --imheight together, or neither"),
        (["--untar"], "--untar: there is nothing to stage without --tar_dir; give the folder of the tars"),
        (["--keep_frames"], "--keep_frames: it keeps the frames of --visualize; give that too"),
        (["--model_params", "[1]"], '--model_params: expected a JSON object such as {"key": 1}, got [1]'),
        (
            ["--model_params", '{"a": 1,}'],
            "--model_params: not JSON: Illegal trailing comma before end of object at character 8"
            ' (line 1, column 8): {"a": 1⟨here⟩,}',
        ),
        (["--data_paths", "otb_50"], "--data_paths: expected name=DIR, got 'otb_50'"),
        (["--name", "a/b"], "--name: 'a/b': use letters, digits, '.', '_' and '-' only"),
        (["stray"], "'stray': expected a flag here (see --help)"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(*words)
    if "Illegal trailing comma" in message:  # Python before 3.13 words this otherwise, at the next character
        assert str(error.value).startswith("--model_params: not JSON: ")
        assert " at character " in str(error.value)
        assert "⟨here⟩" in str(error.value)
    else:
        assert str(error.value) == message
    assert "\n" not in str(error.value)


def test_editing_a_default_changes_the_run_id() -> None:
    explicit = identity(TrainConfig(), {})
    assert explicit["lr_init"] == 0.001
    later = {"variant", "filter_params", "augment_params", "negative_params"}
    assert set(explicit) == set(config.to_dict(TrainConfig())) - later
    assert digest({**explicit, "lr_init": 0.002})[:12] != run_id(TrainConfig(), {})


def test_a_later_field_at_its_old_behaviour_leaves_the_id_alone() -> None:
    assert "variant" not in identity(TrainConfig(), {})
    assert identity(TrainConfig(variant="again"), {})["variant"] == "again"


def test_a_file_enters_by_content_not_by_path() -> None:
    first = TrainConfig(model_params={"feature_model_file": "a.pth", "feature_params": {"arch": "a.pth"}})
    moved = TrainConfig(model_params={"feature_model_file": "b.pth", "feature_params": {"arch": "a.pth"}})
    assert run_id(first, {"a.pth": "00"}) != run_id(first, {"a.pth": "01"})
    assert identity(moved, {"b.pth": "00"})["model_params"]["feature_model_file"] == "sha256:00"


def test_what_does_not_change_results_does_not_change_ids() -> None:
    fields = set(config.to_dict(TrainConfig()))
    for name in (
        "num_trials", "first_seed", "period_ckpt", "period_assess", "optimize_metric", "period_preview", "data_dir",
        "device", "num_workers", "loglevel",
    ):  # fmt: skip
        assert name not in fields


def test_an_assessment_is_keyed_by_how_it_measures_only() -> None:
    base = assessment_key(AssessConfig())
    assert (
        assessment_key(AssessConfig(eval_datasets=("vot2018",), period_assess=5, optimize_metric="mean_iou")) == base
    )
    assert assessment_key(AssessConfig(eval_tre_num=3)) != base
    assert assessment_key(AssessConfig(max_eval_videos=3)) != base
    assert assessment_key(AssessConfig(eval_preproc="resize_fit_640x640")) != base
    assert assessment_key(AssessConfig(eval_convention="pysot")) != base
    assert assessment_key(AssessConfig(eval_repeats=3)) != base


def test_assessments_keep_their_keys() -> None:
    """The same way to measure gives the same key, in every version of seqtrack."""
    assert assessment_key(AssessConfig()) == "7ab1fed4"
    assert assessment_key(AssessConfig(eval_tre_num=3, max_eval_videos=7)) == "20896614"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(backwards) == canonical_json(value)


def test_build_refuses_an_unknown_name() -> None:
    with pytest.raises(UserError, match="--lr: no such flag; did you mean"):
        build({"lr": 1})
