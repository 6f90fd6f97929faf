"""What `make bench` measures: how the functions start and answer, what the sweep consumes, how long buyers wait."""
