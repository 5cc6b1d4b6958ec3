"""What a run came to: events, figures, and the search for a capacity."""
