from __future__ import annotations

from collections.abc import Iterable

from captions.models.kyutai.words import SPACE, WordReader
from captions.models.model import LaneEvent, LaneWord, LaneWordEnd
from captions.types import FRAME_SAMPLES

DELAY_FRAMES = 6
PAD, END = 3, 0
PIECES = ["<unk>", "<s>", "</s>", "<pad>", f"{SPACE}bon", "jour", f"{SPACE}le", SPACE, "4", "2", ".", f"{SPACE}monde"]
BON, JOUR, LE, BARE, FOUR, TWO, STOP, MONDE = range(4, 12)


class Pieces:
    """A tokenizer of `PIECES` that decodes as sentencepiece does: no space before the first word."""

    def decode(self, ids: list[int], /) -> str:
        return "".join(PIECES[i] for i in ids if i > PAD).replace(SPACE, " ").removeprefix(" ")

    def id_to_piece(self, piece: int, /) -> str:
        return PIECES[piece]


def reader() -> WordReader:
    return WordReader(Pieces(), DELAY_FRAMES)


def at(frames: int) -> int:
    return frames * FRAME_SAMPLES


def read(tokens: Iterable[int], words: WordReader | None = None) -> list[LaneEvent]:
    """The events of a token stream whose first token speaks of lane time 0."""
    words = words or reader()
    for _ in range(DELAY_FRAMES - 2):
        assert words.push(PAD) == []
    return [event for token in tokens for event in words.push(token)]


def test_a_word_starts_and_ends_at_the_boundaries_around_it() -> None:
    assert read([PAD, END, BON, JOUR, PAD, PAD, END]) == [LaneWord("bonjour", at(1), None), LaneWordEnd(at(6))]


def test_a_boundary_right_behind_the_pieces_ends_the_word_at_once() -> None:
    assert read([PAD, END, BON, JOUR, END]) == [LaneWord("bonjour", at(1), at(4))]


def test_one_boundary_ends_a_word_and_starts_the_next() -> None:
    assert read([END, LE, PAD, END, MONDE, PAD, END]) == [
        LaneWord("le", at(0), None),
        LaneWordEnd(at(3)),
        LaneWord("monde", at(3), None),
        LaneWordEnd(at(6)),
    ]


def test_words_without_a_boundary_between_them_are_words_of_their_own() -> None:
    assert read([END, LE, MONDE, PAD, PAD, END]) == [
        LaneWord("le", at(0), None),
        LaneWordEnd(at(1)),
        LaneWord("monde", at(1), None),
        LaneWordEnd(at(5)),
    ]


def test_the_second_word_after_one_boundary_starts_where_its_pieces_came() -> None:
    assert read([END, LE, PAD, PAD, PAD, MONDE, END]) == [
        LaneWord("le", at(0), None),
        LaneWordEnd(at(4)),
        LaneWord("monde", at(4), at(6)),
    ]


def test_a_word_starts_at_its_boundary_though_its_pieces_come_up_to_a_second_later() -> None:
    assert read([PAD, PAD, END, *[PAD] * 12, MONDE, PAD]) == [LaneWord("monde", at(2), None)]


def test_a_word_that_comes_a_second_after_the_last_boundary_starts_a_step_before_its_pieces() -> None:
    assert read([PAD, PAD, END, *[PAD] * 13, MONDE, PAD]) == [LaneWord("monde", at(15), None)]


def test_a_word_before_any_boundary_starts_a_step_before_its_pieces() -> None:
    assert read([PAD, PAD, MONDE, PAD]) == [LaneWord("monde", at(1), None)]


def test_the_first_token_after_the_delay_speaks_of_the_lanes_first_frame() -> None:
    assert read([MONDE, PAD]) == [LaneWord("monde", at(0), None)]


def test_a_number_in_several_pieces_behind_a_bare_space_is_one_word() -> None:
    assert read([END, BARE, FOUR, TWO, PAD]) == [LaneWord("42", at(0), None)]


def test_a_bare_space_alone_is_no_word() -> None:
    assert read([END, BARE, PAD, END, BARE, MONDE, END]) == [LaneWord("monde", at(3), at(6))]


def test_punctuation_stays_with_its_word() -> None:
    assert read([END, MONDE, STOP, END]) == [LaneWord("monde.", at(0), at(3))]


def test_what_comes_before_the_delay_is_over_says_nothing() -> None:
    words = reader()
    assert [words.push(token) for token in (END, BON, JOUR)] == [[], [], []]
    assert words.push(END) == []
    assert words.push(PAD) == []


def test_closing_brings_out_the_word_under_way_with_an_end() -> None:
    words = reader()
    assert read([END, BON, JOUR], words) == []
    assert words.close() == [LaneWord("bonjour", at(0), at(2))]
    assert words.close() == []


def test_closing_ends_a_word_given_without_one() -> None:
    words = reader()
    assert read([END, LE, PAD, PAD], words) == [LaneWord("le", at(0), None)]
    assert words.close() == [LaneWordEnd(at(3))]
    assert words.push(END) == []


def test_a_prefix_that_the_lane_has_heard_already_is_before_its_time() -> None:
    words = WordReader(Pieces(), DELAY_FRAMES, prefix_frames=13)
    assert [words.push(token) for token in (END, LE)] == [[], []]
    assert words.push(END) == [LaneWord("le", 0, 0)], "said within the delay, so of the prefix"
    words.reset()
    assert read([PAD, END, LE, END], words) == [LaneWord("le", at(1), at(3))]


def test_reset_starts_the_clock_again() -> None:
    words = reader()
    read([END, LE, PAD, END, MONDE], words)
    words.reset()
    assert read([END, LE, END], words) == [LaneWord("le", at(0), at(2))]
