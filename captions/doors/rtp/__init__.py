"""Plain RTP: what an SFU forwards of its participants, on one UDP port."""
