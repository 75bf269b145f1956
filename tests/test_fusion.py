"""Ranked lists become hits: by surprise, per place of a file."""

from __future__ import annotations

from seehear.calibration import score
from seehear.fusion import Found, fuse
from seehear.types import Collection, Match, Segment

SEEN, SAID = Collection("a", "visual", "video"), Collection("b", "speech", "video")


def row(name: str, surprise: float, start: float | None = None, source: str = "", rank: int = 1) -> Found:
    end = None if start is None else start + 4
    segment = Segment(name, source or f"{name}.mp4", "video", "visual", start, end, text=f"words of {name}")
    return Found(Match(name, 0.3), rank, surprise, segment, f"/{segment.source}")


def test_one_list_keeps_its_order() -> None:
    assert [hit.id for hit in fuse({SEEN: [row("x", 4.0), row("y", 3.0, rank=2)]})] == ["x.mp4", "y.mp4"]


def test_lists_are_joined_by_surprise_not_by_rank() -> None:
    hits = fuse({SEEN: [row("x", 9.0), row("y", 8.0, rank=2)], SAID: [row("z", 1.0)]})
    assert [hit.id for hit in hits] == ["x.mp4", "y.mp4", "z.mp4"]


def test_what_two_lists_agree_on_is_raised_by_at_most_half_of_what_is_left() -> None:
    alone = fuse({SEEN: [row("x", 3.0)]})[0].score
    (both,) = fuse({SEEN: [row("x", 3.0)], SAID: [row("x", 30.0)]})
    agreeing = fuse({SEEN: [row("x", 3.0)], SAID: [row("x", 2.9)]})[0]
    assert both.score > score(30.0) - 1e-9
    assert alone < agreeing.score <= alone + (1 - alone) / 2
    assert [one.encoder for one in both.evidence] == ["b", "a"]


def test_a_silent_list_never_lowers_a_hit() -> None:
    alone = fuse({SEEN: [row("x", 3.0)]})[0].score
    assert fuse({SEEN: [row("x", 3.0)], SAID: []})[0].score == alone
    assert fuse({SEEN: [row("x", 3.0)], SAID: [row("x", -40.0)]})[0].score == alone


def test_scores_stay_between_0_and_1_and_their_order_survives_both_ends() -> None:
    hits = fuse({SEEN: [row("a", 90.0), row("b", 80.0), row("c", -80.0), row("d", -90.0)]})
    assert [hit.score for hit in hits] == [1.0, 1.0, 0.0, 0.0]
    assert [hit.id for hit in hits] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


def test_a_hit_of_a_timed_file_names_its_place() -> None:
    assert fuse({SEEN: [row("x", 5.0, 12.4)]})[0].id == "x.mp4#t=12.400,16.400"


def test_what_overlaps_in_one_file_is_one_hit_with_all_the_evidence() -> None:
    rows = [row("a", 5.0, 0.0, "f"), row("b", 6.0, 2.0, "f"), row("c", 4.0, 4.0, "f"), row("d", 3.0, 8.0, "f")]
    first, second = fuse({SEEN: rows})
    assert (first.start, first.end, [one.segment for one in first.evidence]) == (2.0, 6.0, ["b", "a", "c"])
    assert (second.start, [one.segment for one in second.evidence]) == (8.0, ["d"])
    assert first.score == score(6.0)  # windows of one list that overlap are no second opinion


def test_the_same_time_in_two_files_is_two_hits() -> None:
    assert len(fuse({SEEN: [row("a", 5.0, 0.0, "f"), row("b", 5.0, 0.0, "g")]})) == 2
