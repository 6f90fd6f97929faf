"""What `paidup report` says: figures of some days that a manager reads, and a picture of them."""
