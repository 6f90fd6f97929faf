"""paidup: every payment settled once, within seconds."""
