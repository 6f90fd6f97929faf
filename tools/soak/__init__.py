"""One customer's life, lived many thousand times: a table and a provider in memory, and every step in any order."""
