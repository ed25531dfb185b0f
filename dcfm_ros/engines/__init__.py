"""How the two graphs run: one small interface, and a factory that chooses what runs it."""
