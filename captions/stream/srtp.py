"""SRTP and SRTCP (RFC 3711) of one source by pylibsrtp (extra `srtp`), which only this module imports."""

from __future__ import annotations

from collections.abc import Callable

from captions.stream.rtp import RtpError

__all__ = ["SRTP_KEY_BYTES", "NoSrtp", "Srtp", "SrtpError"]

SRTP_KEY_BYTES = 30
"""Of AES_CM_128_HMAC_SHA1_80: a master key of 16 bytes, and a salt of 14."""


class NoSrtp(Exception):
    """The library is not installed."""


class SrtpError(RtpError):
    """A packet of another key, one that was changed, or one that has come before."""


class Srtp:
    """`open` its packets, in any order in which a network delivers them, and its control packets.

    The number of times that its sequence numbers went round is counted from the first packet, so it must be here from
    when its sender begins.

    Raises:
        NoSrtp: see there.
    """

    def __init__(self, key: bytes, ssrc: int) -> None:
        try:
            from pylibsrtp import Error, Policy, Session
        except ImportError:
            raise NoSrtp("SRTP needs pylibsrtp: pip install 'captions[srtp]'") from None
        self._session = Session(Policy(key, Policy.SSRC_SPECIFIC, ssrc))
        self._errors = (Error, ValueError)

    def open(self, packet: bytes) -> bytes:
        """As RTP.

        Raises:
            SrtpError: see there.
        """
        return self._opened(self._session.unprotect, packet)

    def open_control(self, packet: bytes) -> bytes:
        """As RTCP.

        Raises:
            SrtpError: see there.
        """
        return self._opened(self._session.unprotect_rtcp, packet)

    def _opened(self, unprotect: Callable[[bytes], bytes], packet: bytes) -> bytes:
        try:
            return unprotect(packet)
        except self._errors as error:
            raise SrtpError(str(error)) from None
