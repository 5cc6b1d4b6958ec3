"""How figures are called and read by people, in tables and plots."""

from __future__ import annotations

from bench.measure.intervals import Figure
from captions.stream.figures import FIGURES

__all__ = ["TITLES", "interval", "reading", "title"]

TITLES = {
    **{figure.name: figure.title for figure in FIGURES if not figure.part},
    "word_latency": "word latency, gold word ends",
    "word_latency_reported": "word latency, reported word ends",
    "word_latency_server": "word latency, server's own",
    "shown_latency": "word first shown for good",
    "last_words": "last words after the end of speech",
    "done_after_end": "all done after the end of audio",
    "overhead": "word latency less the model's look-ahead, server's own",
    "transport": "there and back",
    "erasure": "erasure",
    "erasure_behind": "erasure, all behind a change",
    "erasure_committed": "erasure of committed words",
    "upwr": "partial words that did not survive",
    "wer": "word error rate",
    "words": "words at the end",
    "start_error": "word start error",
    "end_error": "word end error",
    "onset_error": "speech onset error",
    "offset_error": "speech end error",
    "onsets_missed": "onsets missed after long pauses",
    "troubles": "errors, gaps and broken connections",
    "outage": "no caption of anybody, after the model was killed",
    "participant_cost": "server processor time a participant-second",
    "cpu": "server processor time a track-second",
    "loop_cpu": "of it the event loop's",
    "wer_ada": "word error rate, Ada",
    "wer_bob": "word error rate, Bob",
    "wer_cleo": "word error rate, Cleo (Chromium)",
    "capture_to_pixels": "word said until it stood on the page",
    "capture_to_pixels_for_good": "word said until it stood there committed",
    "microphone_to_pixels": "word said until it stood there, Cleo's (Chromium)",
    "under_no_name": "captions under nobody's name",
    "server_cpu": "server processor time",
    "server_cpu_per_track": "server processor time a track-second",
    "server_fullness": "how full the server said it was at most",
    "server_memory": "server memory",
    "late_p99": "harness's own lateness, p99",
    "held_up": "packets the server held up",
    "audio_s": "audio sent",
    "capacity_tracks": "tracks held",
    "lanes_in_time": "lanes in real time",
    "tracks_in_time": "tracks in time",
    "dropped_counted": "audio dropped, by the server's metric",
    "dropped_told": "audio dropped, by what the tracks were told",
    "tracks_told": "tracks that were told of dropped audio",
    "tracks_done": "tracks that were served to the end",
    "other_troubles": "any other errors",
    "overload_overhead": "word latency less look-ahead, while overloaded",
    "calm_after": "latency normal again after",
    "gpu_utilisation": "GPU utilisation, mean",
}


def title(name: str) -> str:
    """A figure's name for people: "word_latency_p95" is "word latency, gold word ends, p95"."""
    if name.startswith("part_"):
        part = next(figure for figure in FIGURES if name == f"part_{figure.name}")
        return f"of it {part.name.replace('_', ' ')}, {part.statistic}"
    for ending, said in (
        ("_p50", ", median"),
        ("_p95", ", p95"),
        ("_server_p50", ", server's own, median"),
        ("_abs_p50", ", absolute, median"),
        ("_abs_p95", ", absolute, p95"),
        ("_median", ", median"),
        ("", ""),
    ):
        stem = name.removesuffix(ending)
        if name.endswith(ending) and stem in TITLES:
            return TITLES[stem] + said
    return name.replace("_", " ")


def reading(figure: Figure, value: float | None = None) -> str:
    """A figure, or another value in its unit, to the precision that means anything."""
    shown = (figure.value if value is None else value) + 0.0
    if abs(shown) < 0.05 and figure.unit in ("ms", "MB"):
        shown = 0.0
    if figure.unit in ("ms", "MB"):
        return f"{shown:,.0f} {figure.unit}" if abs(shown) >= 10 else f"{shown:.1f} {figure.unit}"
    if abs(shown) >= 1_000:
        return f"{shown:,.0f} {figure.unit}".strip()
    digits = f"{shown:.0f}" if figure.unit == "" and shown == int(shown) and abs(shown) > 1 else f"{shown:.3g}"
    return f"{digits} {figure.unit}".strip()


def interval(figure: Figure) -> str:
    """The confidence interval in the figure's unit, "" where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    low = reading(figure, figure.low).removesuffix(figure.unit).strip()
    return f"{low} – {reading(figure, figure.high)}"
