"""How the embedded model was trained and is shipped. Nothing imports this room."""
