"""The weights of the project are those of the manifest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import pytest

import agegender.shared.models
from agegender.services.classify.nets import NET_A, NET_B, NET_C
from agegender.shared.images.faces import CHIP_CONTEXT, CHIP_SIDE_PX
from agegender.shared.models import (
    FOLDER,
    PackName,
    WeightsError,
    calibration_file,
    head_file,
    load_manifest,
    weights,
)

NAMES = tuple(load_manifest().nets)
PACKS: tuple[PackName, ...] = get_args(PackName)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of weights in place of the real one, which tests may damage."""
    folder = tmp_path / "models"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(agegender.shared.models, "FOLDER", folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_each_file_has_the_size_and_the_sum_of_the_manifest(name: str) -> None:
    assert weights(name).stat().st_size == load_manifest().nets[name].size_bytes


def test_the_manifest_lists_all_weights_of_the_folder() -> None:
    stored = {path.name for path in FOLDER.iterdir() if path.suffix in {".onnx", ".tflite", ".bin"}}
    assert stored == {net.file for net in load_manifest().nets.values()}


@pytest.mark.parametrize("pack", PACKS)
def test_each_pack_has_files_of_known_origin(pack: PackName) -> None:
    described = load_manifest().packs[pack]
    assert set(described.mirrored) <= set(described.nets) <= set(NAMES)
    for stored, path in (
        (described.head, head_file(pack)),
        (described.calibration, calibration_file(pack)),
    ):
        assert path.stat().st_size == stored.size_bytes
        assert all(origin.faces > 200 for origin in stored.fitted_on)


def test_the_open_pack_is_fitted_to_free_faces_alone() -> None:
    described = load_manifest().packs["open"]
    origins = (*described.head.fitted_on, *described.calibration.fitted_on)
    assert {origin.terms for origin in origins} == {"CC BY 4.0"}


def test_the_folder_holds_no_file_that_the_manifest_lacks() -> None:
    packs = load_manifest().packs.values()
    listed = {one.file for pack in packs for one in (pack.head, pack.calibration)}
    assert listed == {path.name for path in FOLDER.iterdir() if path.name.startswith(("head", "calibration"))}


@pytest.mark.parametrize("name", NAMES)
def test_each_file_has_its_notice_and_licence(name: str) -> None:
    net = load_manifest().nets[name]
    notices = (FOLDER / "NOTICES.md").read_text(encoding="utf-8")
    assert f"`{net.file}`: {net.licence.replace('CC0-1.0', 'CC0 1.0')}" in notices


def test_one_flipped_bit_is_noticed_and_the_file_named(copied: Path) -> None:
    path = copied / "gender_b.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"gender_b\.tflite, is damaged: expected sha256 \w+, got \w+"):
        weights("gender_b")
    assert weights("yunet").is_file()


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "age_gender_a.tflite").unlink()
    with pytest.raises(WeightsError, match=r"weights of age_gender_a cannot be read: .*age_gender_a\.tflite"):
        weights("age_gender_a")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        WeightsError,
        match="expected one of the nets yunet, age_gender_a, gender_b, face_features_c, got 'resnet'",
    ):
        weights("resnet")


def test_a_manifest_with_an_unknown_field_is_refused(copied: Path) -> None:
    path = copied / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"divisor"', '"divider"', 1), encoding="utf-8")
    with pytest.raises(WeightsError, match="divider"):
        load_manifest()


@pytest.mark.parametrize("name", [NET_A, NET_B])
def test_each_small_net_reads_whole_pixels_of_the_chip(name: str) -> None:
    net = load_manifest().nets[name]
    assert net.input.side_px is not None
    assert net.input.context is not None
    scaled_px = net.input.side_px * CHIP_CONTEXT / net.input.context
    assert scaled_px == pytest.approx(round(scaled_px))
    assert (round(scaled_px) - net.input.side_px) % 2 == 0
    assert scaled_px <= CHIP_SIDE_PX


def test_net_c_reads_the_whole_chip() -> None:
    assert load_manifest().nets[NET_C].input.context == CHIP_CONTEXT


@pytest.mark.parametrize("name", [NET_A, NET_B])
def test_each_small_net_reads_the_gender_and_one_reads_the_age(name: str) -> None:
    columns = [output.name for output in load_manifest().nets[name].outputs]
    assert columns.count("male_logit") == columns.count("female_logit") == 1
    assert columns.count("age_years") == (name == NET_A)
