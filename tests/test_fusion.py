from pathlib import Path

from seehear.fusion import fuse
from seehear.types import Collection, Match, Segment

SEEN, SAID = Collection("a", "visual", "video"), Collection("b", "speech", "video")


def row(name: str, similarity: float, start: float | None = None) -> tuple[Match, Segment, Path]:
    end = None if start is None else start + 1
    return Match(name, similarity), Segment(name, f"{name}.mp4", "video", "visual", start, end), Path(f"/{name}.mp4")


def test_one_list_keeps_its_order() -> None:
    assert [hit.id for hit in fuse({SEEN: [row("x", 0.3), row("y", 0.2)]})] == ["x.mp4", "y.mp4"]


def test_what_two_lists_agree_on_comes_first_with_both_pieces_of_evidence() -> None:
    hits = fuse({SEEN: [row("x", 0.3), row("y", 0.29)], SAID: [row("z", 0.9), row("y", 0.8)]})
    assert hits[0].id == "y.mp4"
    assert [(one.encoder, one.rank) for one in hits[0].evidence] == [("b", 2), ("a", 2)]


def test_a_higher_raw_similarity_in_another_space_does_not_win() -> None:
    hits = fuse({SEEN: [row("x", 0.2)], SAID: [row("z", 0.9), row("w", 0.8)]})
    assert [hit.id for hit in hits].index("x.mp4") < [hit.id for hit in hits].index("w.mp4")


def test_scores_stay_between_0_and_1() -> None:
    assert [hit.score for hit in fuse({SEEN: [row("x", 1.0000002), row("y", -0.5)]})] == [1.0, 0.0]


def test_a_hit_of_a_timed_file_names_its_place() -> None:
    assert fuse({SEEN: [row("x", 0.5, 12.4)]})[0].id == "x.mp4#t=12.400,13.400"
