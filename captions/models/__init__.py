"""Speech-to-text models, the lanes they offer and the one thread that runs them."""
