"""What `paidup doctor` examines: each part on its own, so that what one cannot tell hinders no other."""
