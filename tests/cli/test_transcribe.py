"""`captions transcribe`: any audio a person has, as text, JSON, SRT or WebVTT."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from captions.__main__ import main
from captions.cli.audio_file import blocks, duration_s
from captions.cli.errors import CommandError
from captions.models.moonshine.words import spoken
from captions.types import SAMPLE_RATE, Pcm
from tests.server.harness import PATIENCE_S, Served, serving
from tests.speech import dickens, saying, silence

CODECS = {
    "wav": ("pcm_s16le", 44_100),
    "mp3": ("libmp3lame", 44_100),
    "flac": ("flac", 48_000),
    "ogg": ("libopus", 48_000),
    "webm": ("libopus", 48_000),
    "m4a": ("aac", 44_100),
}
WORDS = "it was the best of times"


def write(path: Path, pcm: Pcm, codec: str, sample_rate: int) -> Path:
    """An audio file of mono samples at that rate."""
    with av.open(str(path), "w", format="mp4" if path.suffix == ".m4a" else None) as container:
        stream = container.add_stream(codec, rate=sample_rate, layout="mono")
        resampler = av.AudioResampler(stream.format.name, "mono", sample_rate, frame_size=stream.frame_size or 1_024)
        whole = av.AudioFrame.from_ndarray(pcm[None], format="flt", layout="mono")
        whole.sample_rate = sample_rate
        for frame in (*resampler.resample(whole), *resampler.resample(None)):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbered_words(folder: Path, name: str = "words.wav") -> Path:
    """24 kHz floats that the scripted model hears as "w1 w2 w3"."""
    return write(folder / name, np.concatenate(saying(1, 2, 3)), "pcm_f32le", SAMPLE_RATE)


async def run(served: Served, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["transcribe", *arguments, "--url", served.url])


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line a command fails with."""
    assert main(["transcribe", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.strip().splitlines()
    return line


def test_every_kind_of_file_through_a_server_of_its_own(tmp_path: Path) -> None:
    pieces = {rate: np.pad(dickens(0.8, 2.8, rate), (0, rate // 2)) for rate in (44_100, 48_000)}
    files = [
        write(tmp_path / f"speech.{kind}", pieces[sample_rate], codec, sample_rate)
        for kind, (codec, sample_rate) in CODECS.items()
    ]
    assert main(["transcribe", *map(str, files), "--model", "moonshine", "--output", str(tmp_path / "out")]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()}
    assert set(written) == {f"{path.name}.txt" for path in files}
    said = {name: " ".join(spoken(word) for word in text.split()) for name, text in written.items()}
    assert said == dict.fromkeys(written, WORDS)


@pytest.mark.parametrize("kind", CODECS)
def test_every_kind_of_file_is_read_at_its_length_and_level(tmp_path: Path, kind: str) -> None:
    codec, sample_rate = CODECS[kind]
    tone = (np.sin(2 * np.pi * 440 * np.arange(sample_rate) / sample_rate) / 2).astype(np.float32)
    path = write(tmp_path / f"tone.{kind}", tone, codec, sample_rate)
    pcm = np.concatenate(list(blocks(path, 2_400)))
    assert len(pcm) % 2_400 == 0
    assert len(pcm) == pytest.approx(SAMPLE_RATE, abs=3_600)
    assert np.sqrt(np.mean(pcm[4_800:19_200] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert duration_s(path) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("form", "rendered"),
    [
        ("text", "w1 w2 w3\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:01,000\nw1 w2 w3\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nw1 w2 w3\n"),
    ],
)
async def test_what_comes_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, rendered: str) -> None:
    async with serving() as served:
        assert await run(served, str(numbered_words(tmp_path)), "--format", form) == 0
    assert capsys.readouterr().out == rendered


async def test_json_has_words_and_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as served:
        assert await run(served, str(numbered_words(tmp_path)), "--format", "json") == 0
    [segment] = json.loads(capsys.readouterr().out)
    assert [(w["text"], w["start"], w["end"]) for w in segment["words"]] == [
        ("w1", 0.0, 0.08),
        ("w2", 0.24, 0.32),
        ("w3", 0.48, 0.56),
    ]


async def test_at_a_given_speed_the_words_are_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving() as served:
        assert await run(served, str(numbered_words(tmp_path)), "--speed", "20") == 0
    assert capsys.readouterr().out == "w1 w2 w3\n"


async def test_files_come_out_in_the_order_given_to_a_folder_that_is_made(tmp_path: Path) -> None:
    files = [str(numbered_words(tmp_path, name)) for name in ("b.wav", "a.wav")]
    async with serving() as served:
        assert await run(served, *files, "--format", "vtt", "--output", str(tmp_path / "new" / "folder")) == 0
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["a.wav.vtt", "b.wav.vtt"]


async def test_a_file_with_a_long_name_and_odd_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = numbered_words(tmp_path, "été\n" + "é" * 100 + ".wav")
    async with serving() as served:
        assert await run(served, str(path)) == 0
    assert capsys.readouterr().out == "w1 w2 w3\n"


async def test_a_silent_file_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = write(tmp_path / "silent.wav", np.zeros(30 * SAMPLE_RATE, np.float32), "pcm_f32le", SAMPLE_RATE)
    async with serving() as served:
        assert await run(served, str(silent)) == 0
    assert capsys.readouterr().out == ""


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, str(tmp_path / "missing.wav")) == f"captions: {tmp_path / 'missing.wav'}: no such file"


def test_a_missing_file_is_told_before_any_other_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = numbered_words(tmp_path)
    assert failure(capsys, str(good), str(tmp_path / "missing.wav")).endswith("missing.wav: no such file")


async def test_a_file_that_is_no_audio_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no audio at all")
    async with serving() as served:
        assert await run(served, str(text)) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"captions: {text}: ")


def test_a_file_that_is_not_there_is_a_command_error_to_who_reads_it(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="missing"):
        list(blocks(tmp_path / "missing.wav", 100))


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(numbered_words(tmp_path))
    assert failure(capsys, good, "--url", "ws://127.0.0.1:1").startswith("captions: ws://127.0.0.1:1/v1/stream: ")


async def test_a_key_is_needed_where_the_server_wants_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(numbered_words(tmp_path))
    async with serving(keys={"publish": ["pub"]}) as served:
        assert await run(served, good) == 1
        assert "401" in capsys.readouterr().err
        assert await run(served, good, "--key", "pub") == 0
    assert capsys.readouterr().out == "w1 w2 w3\n"


def test_a_negative_speed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, str(numbered_words(tmp_path)), "--speed", "-1") == "captions: --speed: 0 or more"


def test_a_server_of_its_own_that_does_not_start_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPTIONS_SERVER_PROT", "80")
    assert "prot" in failure(capsys, str(numbered_words(tmp_path)))


def heeding_interrupts() -> None:
    """What a shell runs in the background begins with interrupts ignored, and so would what these tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def test_what_was_transcribed_is_in_the_file_while_more_is_heard_and_after_an_interruption(
    tmp_path: Path,
) -> None:
    """In real time it would take eight minutes; after the first words the user has enough."""
    pieces = [np.concatenate([*saying(number % 40), *silence(60)]) for number in range(100)]
    path = write(tmp_path / "long.wav", np.concatenate(pieces), "pcm_f32le", SAMPLE_RATE)
    written = tmp_path / "out" / "long.wav.json"
    async with serving() as served:
        command = [sys.executable, "-m", "captions", "transcribe", str(path), "--format", "json", "--speed", "4"]
        arguments = ["--output", str(written.parent), "--url", served.url]
        running = await asyncio.create_subprocess_exec(
            *command, *arguments, stderr=asyncio.subprocess.DEVNULL, preexec_fn=heeding_interrupts
        )
        async with asyncio.timeout(PATIENCE_S):
            while not written.exists() or '"w2"' not in written.read_text():  # noqa: ASYNC110 -- another process writes
                await asyncio.sleep(0.05)
        running.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            assert await running.wait() == 130
    said = [segment["text"] for segment in json.loads(written.read_text())]
    assert said[:3] == ["w0", "w1", "w2"]
    assert len(said) < 90


async def test_a_file_is_transcribed_for_nobody_else_unless_a_room_is_named(tmp_path: Path) -> None:
    path = str(numbered_words(tmp_path))
    async with serving() as served:
        assert await run(served, path, "--room", "minutes") == 0
        assert await run(served, path) == 0
        named, other = sorted(
            (room.name for room in served.server.rooms.census(0.0)), key=lambda name: name != "minutes"
        )
        assert named == "minutes"
        assert re.fullmatch(r"transcribe-[0-9a-f]{32}", other)
