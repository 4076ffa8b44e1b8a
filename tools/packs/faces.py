"""What the nets read from labelled faces, and from smaller and blurred copies of them.

Reading takes minutes, so each set is kept in a file of the folder READINGS and read again from there.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agegender.commands.evaluate.classify import FaceFinder, read_picture
from agegender.commands.evaluate.dataset import Label, labels_file, load_labels
from agegender.services.classify.head import Readings
from agegender.services.classify.nets import NET_A, NET_B, NET_C, LiteRT, View, column_names, combine
from agegender.shared.images.pictures import Bgr, decode_picture
from agegender.shared.images.pose import turn
from agegender.shared.images.quality import UNUSABLE, height_px
from agegender.shared.models import FittedOn, Pack, load_manifest
from tools.calibration.copies import Copy, copies
from tools.calibration.labelled_faces import Floats, LabelledFaces, known

COPIES = (
    *(Copy(height, 0.0) for height in (20, 28, 40, 64, 96)),
    Copy(64, 0.015),
    Copy(128, 0.025),
)
_MOST_COPIED = 1_000
_BATCH_CHIPS = 64
_VIEWS = tuple(View(net, mirrored) for net in (NET_A, NET_B, NET_C) for mirrored in (False, True))

TERMS = {
    "fairface": "CC BY 4.0",
    "aaf": "All-Age-Faces: published for age prediction and gender classification, no licence named",
}
"""The terms of the sets that the packs are fitted on, by the name of their folder."""


@dataclass(frozen=True)
class ReadFaces(LabelledFaces):
    """N faces with what the nets read from them, upright and mirrored."""

    copied: NDArray[np.bool_]
    """Whether the face is a smaller or blurred copy."""
    quality: Floats
    turn: Floats
    """See `agegender.shared.images.pose.turn`."""
    height_px: Floats
    upright_a: NDArray[np.float32]
    """(N, 3), and so on: the outputs of each net, in its columns."""
    mirrored_a: NDArray[np.float32]
    upright_b: NDArray[np.float32]
    mirrored_b: NDArray[np.float32]
    upright_c: NDArray[np.float32]
    mirrored_c: NDArray[np.float32]

    @property
    def half(self) -> NDArray[np.int64]:
        """Which half of the people each face belongs to, 0 or 1."""
        return self.person % 2

    def readings(self, nets: Sequence[str], *, mirrored: Sequence[str]) -> Readings:
        """What some nets read, upright or as the mean with the mirror image."""
        run = [view for view in _VIEWS if view.net in nets and (not view.mirrored or view.net in mirrored)]
        return combine(run, [self._outputs(view) for view in run], column_names(load_manifest()))

    def mirror_readings(self, nets: Sequence[str]) -> Readings:
        """What some nets read from the mirror images alone."""
        run = [view for view in _VIEWS if view.net in nets and view.mirrored]
        return combine(run, [self._outputs(view) for view in run], column_names(load_manifest()))

    def of_pack(self, pack: Pack) -> Readings:
        """What the nets of `pack` read."""
        return self.readings(pack.nets, mirrored=pack.mirrored)

    def _outputs(self, view: View) -> NDArray[np.float32]:
        letter = {NET_A: "a", NET_B: "b", NET_C: "c"}[view.net]
        outputs: NDArray[np.float32] = getattr(self, f"{'mirrored' if view.mirrored else 'upright'}_{letter}")
        return outputs

    def save(self, path: Path) -> None:
        """Keeps the faces in a file."""
        np.savez(path, allow_pickle=False, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file of `save`."""
        with np.load(path, allow_pickle=False) as file:
            return cls(**{field.name: file[field.name] for field in fields(cls)})


def read_faces(dataset: Path, kept: Path | None) -> ReadFaces:
    """The faces of `dataset` as they are and copied, only those that are good enough to be classified.

    Args:
        dataset: labelled as `agegender evaluate` reads it; the number of a label is its person.
        kept: a folder to keep them in, or to find them again; None to read them anew.
    """
    path = None if kept is None else kept / f"{dataset.name}.npz"
    if path is not None and path.exists():
        return ReadFaces.load(path)
    faces = _read(load_labels(dataset), dataset.name)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        faces.save(path)
    return faces


def fitted_on(dataset: Path, faces: ReadFaces) -> FittedOn:
    """What the manifest says of a set of faces."""
    table = labels_file(dataset)
    if table is None or dataset.name not in TERMS:
        raise ValueError(
            f"expected a set with labels.csv and known terms ({', '.join(TERMS)}), got {dataset}"
        )
    return FittedOn(
        dataset=dataset.name,
        terms=TERMS[dataset.name],
        labels_sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
        faces=int((~faces.copied).sum()),
    )


def _read(labels: Sequence[Label], name: str) -> ReadFaces:
    finder, nets = FaceFinder.load(), LiteRT(_VIEWS)
    nets.open()
    people: list[tuple[int, Label]] = []
    rows: list[tuple[float, ...]] = []
    outputs: list[Sequence[NDArray[np.float32]]] = []
    chips: list[Bgr] = []

    def run() -> None:
        if chips:
            outputs.append(nets.outputs(np.stack(chips)))
            chips.clear()

    for person, label, number, picture in _pictures(finder, labels, name):
        face = finder.middle_face(picture, label.path)
        if face is None or isinstance(face, str):
            continue
        info = face.info
        if not info.quality or info.quality <= UNUSABLE:
            continue
        people.append((person, label))
        rows.append((number, info.quality, turn(info.landmarks_xy), height_px(info)))
        chips.append(decode_picture(face.chip_jpeg))
        if len(chips) == _BATCH_CHIPS:
            run()
    run()
    copied, quality, turned, height = np.array(rows, np.float64).T
    upright_a, mirrored_a, upright_b, mirrored_b, upright_c, mirrored_c = (
        np.concatenate(parts) for parts in zip(*outputs, strict=True)
    )
    return ReadFaces(
        **vars(known(people)),
        copied=copied > 0,
        quality=quality,
        turn=turned,
        height_px=height,
        upright_a=upright_a,
        mirrored_a=mirrored_a,
        upright_b=upright_b,
        mirrored_b=mirrored_b,
        upright_c=upright_c,
        mirrored_c=mirrored_c,
    )


def _pictures(
    finder: FaceFinder, labels: Sequence[Label], name: str
) -> Iterator[tuple[int, Label, int, Bgr]]:
    """Each person with its label, the number of the copy (0 as it is) and the picture."""
    # An odd number of people apart, so that both halves are copied alike.
    apart = max(1, round(len(labels) / _MOST_COPIED)) // 2 * 2 + 1
    say: Callable[[str], int] = sys.stderr.write
    for person, label in enumerate(labels):
        if person % 500 == 0:
            say(f"{name}: {person} of {len(labels)} pictures\n")
        picture = read_picture(label.path)
        if label.gender is None or isinstance(picture, Exception):
            continue
        yield person, label, 0, picture
        if person % apart == 0:
            for number, copy in copies(finder, label, COPIES):
                yield person, label, number + 1, copy
