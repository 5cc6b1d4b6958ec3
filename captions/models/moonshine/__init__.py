"""The CPU default, Moonshine tiny English: what it reads in an utterance, and when its words are committed."""
