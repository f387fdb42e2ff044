"""The game: who plays, what they minimise, whose turn it is."""
