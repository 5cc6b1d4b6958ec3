"""Who watches what is said in a room, what is shown to who comes late, and transcripts."""
