"""The self-check server: speaks the native protocol, hears nothing, and says its script at the scripted moments.

python -m bench.servers.scripted_server      prints ws://127.0.0.1:PORT and serves until its standard input ends
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.measure.events import Seen, SpeechTurn
from bench.measure.process import hurry
from bench.servers.script import PACKET_S, Move, Script, moves, standard_script
from captions.doors.native import messages as native

__all__ = ["ScriptedTrack", "main", "scripted_server"]


@dataclass(slots=True)
class ScriptedTrack:
    """Sans-I/O: tell it of each packet's arrival, take what is due when.

    A move is due its delay after the arrival of the audio it waits for, as the definitions have it, but never before
    the move that stands before it in the script: packets that come late and all at once must not mix its messages up.
    """

    room: str
    track: str
    script: Script
    _moves: deque[Move] = field(default_factory=deque)
    _arrived_at: dict[float, float] = field(default_factory=dict)
    _awaited: deque[float] = field(default_factory=deque)
    _latest: float = 0.0
    _revisions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._moves = deque(moves(self.script, self.track))
        self._awaited = deque(sorted({move.position for move in self._moves}))

    def heard(self, end: float, at: float) -> list[tuple[float, native.ServerMessage]]:
        """Audio up to position `end` arrived at `at`. Returns (moment, message) for what that brings, in order."""
        while self._awaited and self._awaited[0] <= end + 1e-9:
            self._arrived_at[self._awaited.popleft()] = at
        due = []
        while self._moves and self._moves[0].position in self._arrived_at:
            move = self._moves.popleft()
            self._latest = max(self._latest, self._arrived_at[move.position] + move.delay_ms / 1_000)
            due.append((self._latest, self._message(move)))
        return due

    def finished(self, at: float) -> float:
        """The sender said at `at` that it has sent everything. When to say that all is out."""
        return max(self._latest, at + self.script.done_ms / 1_000)

    def _message(self, move: Move) -> native.ServerMessage:
        what = move.what
        if isinstance(what, SpeechTurn):
            return native.SpeechNotice(self.track, what.speaking, what.position)
        assert isinstance(what, Seen)
        revision = self._revisions[what.unit] = self._revisions.get(what.unit, -1) + 1
        words = [native.CaptionWord(word.text, word.start or 0.0, word.end or 0.0) for word in what.committed]
        return native.Segment(
            room=self.room,
            track=self.track,
            participant=native.Participant(self.track),
            id=what.unit,
            revision=revision,
            final=what.final,
            start=words[0].start if words else 0.0,
            end=words[-1].end if words else 0.0,
            text=" ".join(word.text for word in words),
            words=words,
            latency=native.Latency(**dict(what.server_ms)),
            tentative=" ".join(what.tentative),
        )


class _Session:
    """One connection: packets in, scripted messages out when they are due."""

    def __init__(self, connection: ServerConnection, script: Script) -> None:
        self._connection = connection
        self._script = script
        self._tracks: dict[str, tuple[ScriptedTrack, int]] = {}
        self._names: list[str] = []
        self._outbox: asyncio.Queue[native.ServerMessage] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        writing = asyncio.create_task(self._write())
        try:
            async for payload in self._connection:
                self._obey(native.decode_client(payload if isinstance(payload, bytes) else payload.encode(), "msgpack"))
        except ConnectionClosed:
            pass
        finally:
            writing.cancel()

    async def _write(self) -> None:
        while True:
            await self._connection.send(native.encode(await self._outbox.get(), "msgpack"))

    def _obey(self, message: native.ClientMessage | native.SpoiltPackets) -> None:
        match message:
            case native.Start(room=room, track=name):
                self._tracks[name] = (ScriptedTrack(room, name, self._script), 0)
                self._names.append(name)
                self._outbox.put_nowait(native.Started(name, len(self._names)))
            case native.Audio(track=name):
                self._hear(name)
            case native.Packets(packets=packets):
                for packet in packets:
                    self._hear(self._names[packet.handle - 1])
            case native.Stop(track=name):
                self._at(self._tracks[name][0].finished(self._loop.time()), native.Stopped(name))

    def _hear(self, name: str) -> None:
        track, packets = self._tracks[name]
        self._tracks[name] = (track, packets + 1)
        for moment, said in track.heard((packets + 1) * PACKET_S, self._loop.time()):
            self._at(moment, said)

    def _at(self, moment: float, message: native.ServerMessage) -> None:
        put: Callable[[native.ServerMessage], None] = self._outbox.put_nowait
        self._loop.call_at(moment, put, message)


@asynccontextmanager
async def scripted_server(script: Script) -> AsyncIterator[str]:
    """The address of a server that says `script` on every track."""

    async def session(connection: ServerConnection) -> None:
        await _Session(connection, script).run()

    async with serve(
        session, "127.0.0.1", 0, subprotocols=[Subprotocol(native.SUBPROTOCOL)], compression=None
    ) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _serve_until_told() -> None:
    async with scripted_server(standard_script()) as url:
        print(url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    hurry()
    asyncio.run(_serve_until_told())


if __name__ == "__main__":
    main()
