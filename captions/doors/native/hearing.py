"""The audio that comes on one session: of its tracks, by name or by number, and of none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from captions.doors.lead import Lead
from captions.doors.native import messages as native
from captions.doors.published_track import Delivery, PublishedTrack
from captions.doors.service import Service
from captions.stream.codec import Codec, weight
from captions.stream.timeline import Packet

__all__ = ["Hearing"]

_MOST_COMPLAINTS = 16
"""Of one message: who sends nonsense is not sent more than that of it back."""
_SHORTEST_SECOND = 16_000
"""What a second of PCM takes in bytes at least; no Opus packet has as much."""
_NO_ONE_TRACK = "raw audio needs a connection with exactly one track"
_TOO_LONG = "PCM with a sequence number holds a second at most: send it in pieces, each with its own"


class Hearing:
    """`add` and `remove` tracks. `hear` and `hear_all` wait while a track that must not drop audio has its fill of it.

    Both return how many commands the audio counts for, which is 0 unless it comes in crumbs or far too fast. What is
    wrong goes to `refuse`. Audio of no track may come as much too fast as that of one, all of it together: some is
    always on its way from before its track has ended.
    """

    def __init__(self, service: Service, refuse: Callable[[native.ProtocolError], None]) -> None:
        self._engine = service.engine
        self._most_ahead_s = service.limits.pending_audio_s
        self._refuse = refuse
        self._tracks: dict[str, PublishedTrack] = {}
        self._handles: dict[str, int] = {}
        self._by_handle: dict[int, PublishedTrack] = {}
        self._second_bytes: dict[str, int] = {}
        self._last_handle = 0
        self._stray = Lead()

    def __len__(self) -> int:
        return len(self._tracks)

    def __iter__(self) -> Iterator[PublishedTrack]:
        return iter(self._tracks.values())

    def __contains__(self, name: str) -> bool:
        return name in self._tracks

    def track(self, name: str) -> PublishedTrack:
        """
        Raises:
            ProtocolError: no track of this name is heard.
        """
        track = self._tracks.get(name)
        if track is None or track.is_ending:
            why = f"no track {name!r} was started" if name else _NO_ONE_TRACK
            raise native.ProtocolError("unknown_track", why, name or None)
        return track

    def only_track(self) -> str:
        """The name of the only track, "" if there is none or more than one."""
        return next(iter(self._tracks)) if len(self._tracks) == 1 else ""

    def add(self, track: PublishedTrack, codec: Codec) -> int:
        """The number that the track has from now on, and no other after it."""
        self._last_handle += 1
        self._tracks[track.name] = self._by_handle[self._last_handle] = track
        self._handles[track.name] = self._last_handle
        if codec.second_bytes is not None:
            self._second_bytes[track.name] = codec.second_bytes
        return self._last_handle

    def remove(self, track: PublishedTrack) -> None:
        del self._tracks[track.name]
        del self._by_handle[self._handles.pop(track.name)]
        self._second_bytes.pop(track.name, None)

    async def hear(self, audio: native.Audio, arrived_at: float) -> int:
        try:
            track = self.track(audio.track)
        except native.ProtocolError as error:
            self._refuse(error)
            return self._pass_over(audio.data, arrived_at)
        if len(audio.data) > _SHORTEST_SECOND and self._is_too_long(track, audio.data, audio.seq):
            self._refuse(native.ProtocolError("bad_audio", _TOO_LONG, audio.track))
            return 1
        in_order = track.hear(
            Packet(audio.data, arrived_at, audio.captured_at, audio.seq, audio.timestamp, audio.level)
        )
        if track.is_full:
            await track.room()
        return not in_order

    async def hear_all(
        self, packets: list[native.TrackPacket], spoilt: list[tuple[int | None, str]], arrived_at: float
    ) -> int:
        """The packets of one message. Of a track with some that cannot be heard that is said once."""
        by_handle = self._by_handle
        delivery = Delivery(self._engine)
        strange: set[int] = set()
        too_long: set[int] = set()
        in_vain = 0
        for packet in packets:
            track = by_handle.get(packet.handle)
            if track is None or track.is_ending:
                strange.add(packet.handle)
                in_vain += self._pass_over(packet.data, arrived_at)
                continue
            if len(packet.data) > _SHORTEST_SECOND and self._is_too_long(track, packet.data, packet.seq):
                too_long.add(packet.handle)
                in_vain += 1
                continue
            in_vain += not track.hear(
                Packet(packet.data, arrived_at, packet.captured_at, packet.seq, packet.timestamp, packet.level),
                delivery,
            )
            if not track.is_live and track.is_full:
                delivery.finish()
                delivery = Delivery(self._engine)
                await track.room()
        delivery.finish()
        if strange or too_long or spoilt:
            wrong = [self._error_of(handle, "unknown_track", f"no track has the handle {handle}") for handle in strange]
            wrong += [self._error_of(handle, "bad_message", why) for handle, why in dict(reversed(spoilt)).items()]
            wrong += [self._error_of(handle, "bad_audio", _TOO_LONG) for handle in too_long]
            for error in wrong[:_MOST_COMPLAINTS]:
                self._refuse(error)
        return in_vain

    def _is_too_long(self, track: PublishedTrack, data: bytes, seq: int | None) -> bool:
        """More than a second with one number, which cannot be cut: to the track it is lost, as its number says."""
        return seq is not None and len(data) > self._second_bytes.get(track.name, len(data))

    def _pass_over(self, data: bytes, arrived_at: float) -> int:
        """Audio of no track is paced as a track's is."""
        return not self._stray.sent_in_time(weight(0, len(data)), arrived_at, self._most_ahead_s)

    def _error_of(self, handle: int | None, code: native.ErrorCode, why: str) -> native.ProtocolError:
        track = None if handle is None else self._by_handle.get(handle)
        return native.ProtocolError(code, why, None if track is None else track.name)
