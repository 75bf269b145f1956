"""Ranked lists become hits: by surprise, per place of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seehear import fusion
from seehear.calibration import score
from seehear.fusion import LONGEST, Found
from seehear.hits import Hit
from seehear.types import Channel, Collection, Match, Segment, source_name

SEEN, SAID = Collection("a", "visual", "video"), Collection("b", "speech", "video")
HEARD = Collection("a", "sound", "video")


def fuse(lists: Mapping[Collection, Sequence[Found]], per_source: int = 100) -> list[Hit]:
    return fusion.fuse(lists, per_source)


def row(name: str, surprise: float, rank: int = 1) -> Found:
    segment = Segment(name, f"{name}.jpg", "image", "visual", text=f"words of {name}")
    return Found(Match(name, 0.3), rank, surprise, segment, f"/{segment.source}")


def stretch(start: float, end: float, surprise: float, channel: Channel = "visual", source: str = "f.mp4") -> Found:
    name = f"{channel} {start:g}"
    segment = Segment(name, source, "video", channel, start, end, text=f"at {start:g}." if channel == "speech" else "")
    return Found(Match(name, 0.3), 1, surprise, segment, f"/{source}")


def test_one_list_keeps_its_order() -> None:
    assert [hit.text for hit in fuse({SEEN: [row("x", 4.0), row("y", 3.0, rank=2)]})] == ["words of x", "words of y"]


def test_lists_are_joined_by_surprise_not_by_rank() -> None:
    hits = fuse({SEEN: [row("x", 9.0), row("y", 8.0, rank=2)], SAID: [row("z", 1.0)]})
    assert [hit.source for hit in hits] == ["/x.jpg", "/y.jpg", "/z.jpg"]


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
    assert [hit.source for hit in hits] == ["/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg"]


def test_a_hit_of_a_timed_file_names_its_place() -> None:
    assert fuse({SEEN: [stretch(12.4, 16.4, 5.0)]})[0].id == f"{source_name('f.mp4')}#t=12.400,16.400"


def test_the_same_time_in_two_files_is_two_hits() -> None:
    assert len(fuse({SEEN: [stretch(0, 4, 5.0), stretch(0, 4, 5.0, source="g.mp4")]})) == 2


def test_neighbours_that_are_about_as_good_are_one_moment_and_weak_ones_do_not_stretch_it() -> None:
    rows = [stretch(0, 4, 1.0), stretch(4, 8, 5.0), stretch(8, 12, 6.0), stretch(12, 16, 4.0), stretch(16, 20, 0.5)]
    first = fuse({SEEN: rows})[0]
    assert (first.start, first.end) == (4, 16)
    assert first.score == score(6.0)  # neighbours of one list are no second opinion


def test_two_events_of_one_file_stay_two_hits_and_one_can_be_had() -> None:
    rows = [stretch(0, 4, 6.0), stretch(4, 8, -1.0), stretch(8, 12, 5.0)]
    assert [(hit.start, hit.end) for hit in fuse({SEEN: rows})[:2]] == [(0, 4), (8, 12)]
    assert [(hit.start, hit.end) for hit in fuse({SEEN: rows}, per_source=1)] == [(0, 4)]


def test_what_was_seen_heard_and_said_at_one_time_is_one_hit_with_all_the_evidence() -> None:
    lists = {
        SEEN: [stretch(10, 20, 4.0)],
        HEARD: [stretch(12, 17, 3.5, "sound")],
        SAID: [stretch(15, 18, 5.0, "speech"), stretch(11, 14, 4.9, "speech")],
    }
    (hit,) = fuse(lists)
    assert (hit.start, hit.end) == (10, 20)
    assert {one.channel for one in hit.evidence} == {"visual", "sound", "speech"}
    assert hit.text == "at 11. at 15."
    assert hit.score > score(5.0)


def test_what_is_there_by_chance_is_no_evidence() -> None:
    (hit,) = fuse({SEEN: [stretch(0, 60, -2.0)], SAID: [stretch(15, 18, 5.0, "speech")]})
    assert [one.channel for one in hit.evidence] == ["speech"]
    assert (hit.start, hit.end) == (15, 18)


def test_of_windows_that_overlap_the_outer_quarters_are_left_off() -> None:
    windows = [stretch(0, 5, 5.0, "sound"), stretch(2.5, 7.5, 6.0, "sound"), stretch(20, 25, 5.9, "sound")]
    assert sorted((hit.start, hit.end) for hit in fuse({HEARD: windows})) == [(0, 6.25), (20, 25)]


def test_a_moment_does_not_grow_without_end() -> None:
    said = [stretch(start, start + 5, 5.0 - start / 1000, "speech") for start in range(0, 600, 5)]
    hits = fuse({SAID: said})
    assert all((hit.end or 0) - (hit.start or 0) <= LONGEST for hit in hits)
    assert len(hits) == 10


def test_passages_of_a_text_are_no_moments() -> None:
    read = Collection("b", "text", "text")
    rows = [
        Found(
            Match(str(n), 0.5), n + 1, 5.0 - n, Segment(str(n), "a.srt", "text", "text", 5.0 * n, 5.0 * n + 5), "/a.srt"
        )
        for n in range(3)
    ]
    assert len(fuse({read: rows})) == 3


def test_no_moment_reaches_across_another() -> None:
    rows = [stretch(10, 14, 9.0), stretch(6, 10, 2.0), stretch(14, 18, 2.0), stretch(4, 6, 1.9)]
    hits = fuse({SEEN: rows})
    assert [(hit.start, hit.end) for hit in hits] == [(10, 14), (4, 10), (14, 18)]


def test_of_many_places_of_one_file_no_more_are_joined_than_are_wanted() -> None:
    rows = [stretch(10.0 * n, 10.0 * n + 4, 5.0 - n / 10_000) for n in range(8_000)]
    assert len(fuse({SEEN: rows}, 10)) == 10
