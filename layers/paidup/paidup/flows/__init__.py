"""What the business does: settle, buy, confirm, sync, expire."""
