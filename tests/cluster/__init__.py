"""Several nodes: what they tell each other, and what happens when one goes."""
