"""The flows: what the business does, such as settle, buy, confirm, sync and expire."""
