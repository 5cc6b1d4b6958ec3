"""Ogg Opus as a byte stream (RFC 3533, RFC 7845) to Opus packets."""

from __future__ import annotations

__all__ = ["OggError", "OggReader"]

_CAPTURE = b"OggS"
_HEADER_BYTES = 27
_MOST_PAGE_BYTES = _HEADER_BYTES + 255 + 255 * 255
_CONTINUED = 1
_HEADERS = (b"OpusHead", b"OpusTags")


class OggError(Exception):
    """Bytes that are no Ogg page where one must begin."""


class OggReader:
    """One logical stream, cut anywhere: `feed` bytes, get the audio packets that have become whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._packet = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The packets completed by these bytes; the stream's two header packets are left out.

        Raises:
            OggError: the stream cannot be followed any more; what was buffered is dropped, the next page may be good.
        """
        self._buffer += data
        packets: list[bytes] = []
        while (page := self._take_page()) is not None:
            packets += self._packets_of(*page)
        return [packet for packet in packets if not packet.startswith(_HEADERS)]

    def _take_page(self) -> tuple[int, bytes, bytes] | None:
        """The flags, lacing values and body of the next whole page."""
        buffer = self._buffer
        if not buffer.startswith(_CAPTURE[: len(buffer)]):
            buffer.clear()
            self._packet.clear()
            raise OggError("no Ogg page begins here")
        if len(buffer) < _HEADER_BYTES or len(buffer) < _HEADER_BYTES + buffer[26]:
            return None
        body_at = _HEADER_BYTES + buffer[26]
        lacing = bytes(buffer[_HEADER_BYTES:body_at])
        end = body_at + sum(lacing)
        if len(buffer) < end:
            return None
        page = (buffer[5], lacing, bytes(buffer[body_at:end]))
        del buffer[:end]
        return page

    def _packets_of(self, flags: int, lacing: bytes, body: bytes) -> list[bytes]:
        if not flags & _CONTINUED:
            self._packet.clear()
        packets, at = [], 0
        for length in lacing:
            self._packet += body[at : at + length]
            at += length
            if length < 255:
                packets.append(bytes(self._packet))
                self._packet.clear()
        if len(self._packet) > _MOST_PAGE_BYTES:
            self._packet.clear()
            raise OggError("an Opus packet longer than a page")
        return packets
