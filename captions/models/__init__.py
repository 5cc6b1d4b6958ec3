"""Speech-to-text models, and which track each of their lanes serves."""
