"""How the small checkpoint in `captions/models/digits` was made, kept so that it can be made again."""
