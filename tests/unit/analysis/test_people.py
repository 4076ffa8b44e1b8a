"""The faces of a person put together."""

from __future__ import annotations

from agegender.analysis.people import Analyzed, OngoingPerson, People
from agegender.services.detect.tracking.tracker import Track
from agegender.shared.messages.pipeline import FaceInfo, Gender, Result
from agegender.shared.messages.votes import Verdict
from tests.support.made_messages import face_info, frame_info, result, unclassified_result


def face_at(x: float, quality: float | None = None) -> FaceInfo:
    box = (x, 50.0, x + 40.0, 90.0)
    return face_info().model_copy(update={"box_xyxy": box, "quality": quality})


def classified(
    age_years: float,
    gender: Gender = "female",
    *,
    sure: float = 0.9,
    quality: float | None = None,
    between: tuple[float, float] | None = None,
    x: float = 100.0,
) -> Result:
    made = result(face_at(x, quality), age_years=age_years, gender=gender)
    return made.model_copy(update={"gender_confidence": sure, "age_interval_years": between})


def verdict(*results: Result) -> Verdict:
    ongoing = OngoingPerson(Track((0.0, 0.0, 1.0, 1.0), 0.0, 0.0))
    for number, one in enumerate(results):
        ongoing.add(one, number * 0.2)
    assert ongoing.faces == len(results)
    return ongoing.verdict


def frame(time_s: float, *faces: Result) -> Analyzed:
    return Analyzed(frame_info(), time_s, faces)


def test_the_faces_of_a_person_are_weighted_by_quality() -> None:
    summed = verdict(
        classified(30, quality=0.9, between=(20.0, 40.0)), classified(60, quality=0.1, between=(50.0, 70.0))
    )
    assert summed.age_years == 33.0
    assert summed.age_interval_years is not None
    low_years, high_years = summed.age_interval_years
    assert 23.0 <= low_years < 25.0
    assert 41.0 < high_years <= 43.0


def test_one_sure_face_outweighs_two_doubtful_ones() -> None:
    doubtful = classified(30, "male", sure=0.6)
    summed = verdict(doubtful, classified(30, "female", sure=0.999), doubtful)
    assert summed.gender == "female"
    assert 0.5 < summed.gender_confidence < 0.99


def test_an_unclassified_face_changes_only_the_number_of_faces() -> None:
    assert verdict(classified(30), unclassified_result()) == verdict(classified(30))
    assert (verdict(unclassified_result()).age_years, verdict(unclassified_result()).gender) == (
        None,
        "unknown",
    )


def test_frames_wait_until_it_is_known_whose_their_faces_are() -> None:
    people = People()
    people.add(frame(0.0, classified(30)))
    people.add(frame(0.2, classified(30)))
    assert list(people.ready()) == []
    people.add(frame(0.4, classified(30)))
    ready = list(people.ready())
    assert [one.time_s for one in ready] == [0.0, 0.2, 0.4]
    assert {one.faces[0].face.track_id for one in ready} == {"1"}


def test_a_face_seen_once_belongs_to_nobody_and_is_still_told() -> None:
    people = People()
    people.add(frame(0.0, classified(30, x=400.0)))
    for index in range(1, 6):
        people.add(frame(0.2 * index, classified(30, x=100.0)))
    ready = [*people.ready(), *people.finish()]
    assert [one.faces[0].face.track_id for one in ready] == [None, "1", "1", "1", "1", "1"]
    (person,) = people.persons()
    assert (person.track_id, person.faces, person.first_s, person.last_s) == ("1", 5, 0.2, 1.0)


def test_two_people_are_summed_apart() -> None:
    people = People()
    for index in range(4):
        people.add(frame(0.2 * index, classified(20, "male", x=100.0), classified(50, "female", x=300.0)))
    list(people.finish())
    assert [(one.gender, one.age_years) for one in people.persons()] == [("male", 20.0), ("female", 50.0)]


def test_memory_of_a_long_video_stays_flat() -> None:
    people = People()
    for index in range(2_000):
        people.add(frame(0.2 * index, classified(30), classified(30, x=(index * 97) % 5_000 + 200.0)))
        list(people.ready())
    assert len(people._known) < 20
    assert len(people._held) < 20
