"""What was said and when, for speech whose words are known."""
